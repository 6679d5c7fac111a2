"""What a session says: every ending goes on disk, then to the person, then its receipt on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import structlog

from agentd.conversation.wiring import Wiring
from agentd.delivery.reply import Destination, Known, Reply
from agentd.transcript.records import AssistantMessage, Delivery, Draft, Failure
from agentd.transcript.store import Session, SessionStore
from channels.base import Address
from channels.errors import SendFailed, Unreachable

__all__ = ["Outbox"]

log = structlog.get_logger()

DeliveryState = Literal["sent", "uncertain", "failed"]

Answers = Callable[[], tuple[int, ...]]
"""The seqs that a reply answers; more may join until it is visible."""


@dataclass(frozen=True, slots=True)
class _DraftRecords:
    """The journal of one reply: its platform messages as `draft` records."""

    store: SessionStore
    session: Session
    answers: Answers

    async def sending(self, part: int) -> None:
        await self.store.append(self.session, Draft(answers=self.answers(), part=part, state="sending"))

    async def sent(self, part: int, message_id: str) -> None:
        draft = Draft(answers=self.answers(), part=part, state="sent", message_id=message_id)
        await self.store.append(self.session, draft)


class Outbox:
    """The way out of one session."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        """Reply where the session's messages come from."""
        self._wiring = wiring
        self._session = session
        key = session.key
        channel = wiring.channels[key.channel]
        address = Address(key.channel, key.account, key.chat, key.thread)
        self._to = Destination(channel, address, grows=channel.streams and wiring.streams)

    def reply(self, answers: Answers) -> Reply:
        """Begin, or take up from an earlier run, the reply to these messages."""
        first = answers()[0]
        draft = self._session.view.drafts.get(first, {}).get(0)
        seed = f"{self._session.key.file_name}/{first}/0"
        return Reply(
            self._to,
            _DraftRecords(self._wiring.store, self._session, answers),
            nonce=hashlib.sha256(seed.encode()).hexdigest()[:24],
            monotonic=self._wiring.monotonic,
            known=Known(draft.message_id) if draft else None,
        )

    def reply_to(self, *answers: int) -> Reply:
        """Begin, or take up, the reply to messages to which none can be added."""
        return self.reply(lambda: answers)

    async def settle(self, reply: Reply, ending: AssistantMessage | Failure, shown: str) -> tuple[str, ...]:
        """Record how a turn ended, then show that, unless nobody is to be told; return the platform's ids."""
        [recorded] = await self._wiring.store.append(self._session, ending)
        if isinstance(ending, Failure) and not ending.told:
            return ()
        return await self.deliver(reply, recorded.seq, shown)

    async def deliver(self, reply: Reply, of: int, shown: str) -> tuple[str, ...]:
        """Show the text of the record `of`, and record what the platform confirmed.

        Raises Unreachable, and then nothing is recorded: the reply stays undelivered until it can be shown.
        """
        outcome = await reply.finish(shown)
        log.info("reply_delivered", of=of, state=outcome.state, fault=outcome.fault or None)
        await self.receipt(of, outcome.message_ids, outcome.state)
        return outcome.message_ids

    async def receipt(self, of: int, message_ids: tuple[str, ...], state: DeliveryState = "sent") -> None:
        """Record the delivery of `of`."""
        await self._wiring.store.append(self._session, Delivery(of=of, message_ids=message_ids, state=state))

    async def tell(self, text: str) -> None:
        """Say something that cannot be recorded now, such as that the disk is full."""
        try:
            await self._to.channel.send(self._to.address, text, self._wiring.new_id())
        except (SendFailed, Unreachable) as fault:
            log.warning("notice_not_delivered", fault=str(fault))

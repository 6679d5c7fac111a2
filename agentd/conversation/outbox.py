"""What a session says: every ending goes on disk, then to the person, then its delivery on disk."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Literal

import structlog
from structlog.contextvars import bound_contextvars

from agentd.conversation.notices import closing_text
from agentd.conversation.wiring import Wiring
from agentd.delivery.reply import Destination, Known, Reply
from agentd.delivery.telling import Teller
from agentd.transcript.clock import parse_time
from agentd.transcript.records import AssistantMessage, Delivery, Draft, Failure, Record
from agentd.transcript.store import Session, SessionStore
from agentd.transcript.view import DraftPart
from channels.base import Address
from channels.errors import RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText

__all__ = ["Ending", "Outbox"]

log = structlog.get_logger()

NONCE_CHARACTERS = 16
"""With the number of a part and of a try behind it, no more than the 25 that Discord takes for one."""

TYPING_AFTER_SECONDS = 0.7
"""A reply that begins sooner needs no sign."""

TYPING_AGAIN = 0.8
"""The share of its time after which the sign is shown anew, so that it does not flicker."""

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

    async def sent(self, part: int, message_id: str) -> Awaitable[object]:
        draft = Draft(answers=self.answers(), part=part, state="sent", message_id=message_id)
        return await self.store.enqueue(self.session, draft)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a turn ended, on its way to the disk."""

    recording: asyncio.Future[list[Record]]
    is_told: bool


class Outbox:
    """The way out of one session."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        """Reply where the session's messages come from."""
        self._wiring = wiring
        self._session = session
        key = session.key
        screen = wiring.front.screens[key.channel]
        address = Address(key.channel, key.account, key.chat, key.thread)
        self._to = Destination(
            screen, address, wiring.front.budgets[key.channel], grows=screen.streams and wiring.streams
        )
        self._begun: dict[int, Reply] = {}
        """Replies not yet delivered, by the first seq that they answer."""

    def reply(self, answers: Answers) -> Reply:
        """Begin, or take up, the reply to these messages: this run's own knows more of it than the disk does."""
        first = answers()[0]
        journal = _DraftRecords(self._wiring.store, self._session, answers)
        begun = self._begun.get(first)
        if begun is not None:
            begun.resume(journal)
            return begun
        parts = self._session.view.drafts.get(first, {})
        # A file that was begun anew counts from 0 again: when it was begun tells its replies from those before.
        seed = f"{self._session.key.file_name}/{self._session.view.began}/{first}"
        self._begun[first] = Reply(
            self._to,
            journal,
            nonce=hashlib.sha256(seed.encode()).hexdigest()[:NONCE_CHARACTERS],
            monotonic=self._wiring.monotonic,
            known={number: self._known(part) for number, part in parts.items()},
        )
        return self._begun[first]

    def _known(self, part: DraftPart) -> Known:
        begun = parse_time(part.begun)
        age_seconds = (self._wiring.clock() - begun).total_seconds() if begun else inf
        # A clock that went back tells nothing.
        return Known(part.message_id, part.tries, age_seconds if age_seconds >= 0 else inf)

    def reply_to(self, *answers: int) -> Reply:
        """Begin, or take up, the reply to messages to which none can be added."""
        return self.reply(lambda: answers)

    async def record(self, ending: AssistantMessage | Failure) -> Ending:
        """Begin to record how a turn ended; nothing after this may end it in another way."""
        is_told = isinstance(ending, AssistantMessage) or ending.told
        return Ending(await self._wiring.store.enqueue(self._session, ending), is_told)

    async def settle(self, reply: Reply, ending: AssistantMessage | Failure, shown: str) -> tuple[str, ...]:
        """Record how a turn ended, then show that, unless nobody is to be told; return the platform's ids."""
        return await self.show(reply, await self.record(ending), shown)

    async def show(self, reply: Reply, ending: Ending, shown: str) -> tuple[str, ...]:
        """Show how a turn ended once that is on disk, unless nobody is to be told; return the platform's ids.

        Raises StorageError where it could not be recorded, and Unreachable as `deliver` does.
        """
        if ending.is_told:
            await asyncio.sleep(0)  # the disk begins, and needs nobody meanwhile
            reply.prepare(shown)
        [recorded] = await asyncio.shield(ending.recording)
        log.info(
            "ending_recorded", seq=recorded.seq, ending=recorded.reason if isinstance(recorded, Failure) else "reply"
        )
        if not ending.is_told:
            self._forget(reply)
            return ()
        return await self.deliver(reply, recorded.seq, shown)

    async def deliver(self, reply: Reply, of: int, shown: str | RichText) -> tuple[str, ...]:
        """Show the text of the record `of`, and record what the platform confirmed.

        Raises Unreachable, and then nothing is recorded: the reply stays undelivered until it can be shown.
        """
        outcome = await reply.finish(shown)
        log.info("reply_delivered", of=of, state=outcome.state, fault=outcome.fault or None)
        await self.record_delivery(of, outcome.message_ids, outcome.state)
        self._forget(reply)
        return outcome.message_ids

    async def redeliver(self) -> None:
        """Show what an earlier run, or try, left unsaid. Raises Unreachable as `deliver` does."""
        for ending in list(self._session.view.undelivered.values()):
            with bound_contextvars(session=self._session.path.stem, trace=ending.trace):
                reply = self.reply_to(*(ending.answers or (ending.seq,)))
                await self.deliver(reply, ending.seq, closing_text(ending))

    async def record_delivery(self, of: int, message_ids: tuple[str, ...], state: DeliveryState = "sent") -> None:
        """Record the delivery of `of`."""
        await self._wiring.store.append(self._session, Delivery(of=of, message_ids=message_ids, state=state))

    async def keep_typing(self, reply: Reply) -> None:
        """Show that a reply is being made, again and again, until something of it is visible."""
        screen, to, budget = self._to.screen, self._to.address, self._to.budget
        if screen.typing_seconds <= 0:
            return
        await asyncio.sleep(TYPING_AFTER_SECONDS)
        while not reply.is_visible:
            if not budget.is_resting(to.chat):
                await self._show_typing()
            await asyncio.sleep(screen.typing_seconds * TYPING_AGAIN)

    async def _show_typing(self) -> None:
        try:
            await self._to.screen.show_typing(self._to.address)
        except RateLimited as fault:
            self._to.budget.rest(self._to.address.chat, fault.retry_after_seconds)
        except (SendFailed, Unreachable) as fault:
            log.info("typing_not_shown", fault=str(fault))

    def _forget(self, reply: Reply) -> None:
        self._begun = {first: begun for first, begun in self._begun.items() if begun is not reply}

    async def tell(self, text: str) -> None:
        """Say something that cannot be recorded now, such as that the disk is full."""
        await Teller(self._wiring.front, self._wiring.new_id).tell(self._to.address, text)

"""Delivers what a session says, in a fixed order: the ending on disk, then on the person's screen, then the `delivery`
on disk.

Redelivery after a crash, or a failed try, starts here too (`redeliver`).
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import floor, inf
from typing import Literal

import msgspec
import structlog
from structlog.contextvars import bound_contextvars

from agentd.conversation.notices import closing_text
from agentd.conversation.wiring import Wiring
from agentd.delivery.reply import Destination, Known, Reply
from agentd.delivery.telling import Teller
from agentd.transcript.clock import parse_time
from agentd.transcript.records import AssistantMessage, Delivery, Draft, Failure, Record
from agentd.transcript.store import Session, SessionStore
from agentd.transcript.uptime import Uptime
from agentd.transcript.view import DraftPart
from channels.base import Address
from channels.errors import RateLimited, SendFailed, Unreachable
from channels.markup.rich import RichText

__all__ = ["Ending", "Outbox"]

log = structlog.get_logger()

NONCE_CHARACTERS = 16
"""With a part's and an attempt's number appended, at most the 25 characters that Discord takes as a nonce."""

TYPING_AFTER_SECONDS = 0.7
"""Delay before the first typing indicator: a reply that begins sooner needs none."""

TYPING_AGAIN = 0.8
"""The share of the indicator's lifetime after which it is sent again, so that it does not flicker."""

DeliveryState = Literal["sent", "uncertain", "failed"]

Answers = Callable[[], tuple[int, ...]]
"""Returns the seqs that a reply answers; messages may join until something is visible."""


@dataclass(frozen=True, slots=True)
class _DraftRecords:
    """The journal of one reply: a `draft` record before and after each platform message is sent."""

    store: SessionStore
    session: Session
    answers: Answers
    uptime: Uptime | None
    """None where no platform will ever be asked whether it knows the message."""

    async def sending(self, part: int) -> None:
        up = (self.uptime.boot, floor(1000 * self.uptime.seconds()) / 1000) if self.uptime else msgspec.UNSET
        await self.store.append(self.session, Draft(answers=self.answers(), part=part, state="sending", up=up))

    async def sent(self, part: int, message_id: str) -> Awaitable[object]:
        draft = Draft(answers=self.answers(), part=part, state="sent", message_id=message_id)
        return await self.store.enqueue(self.session, draft)


@dataclass(frozen=True, slots=True)
class Ending:
    """The ending of a turn whose append is under way."""

    recording: asyncio.Future[list[Record]]
    is_told: bool


class Outbox:
    """Delivers the replies of one session."""

    def __init__(self, wiring: Wiring, session: Session) -> None:
        """Address replies to the chat and thread that the session's key names."""
        self._wiring = wiring
        self._session = session
        key = session.key
        screen = wiring.front.screens[key.channel]
        address = Address(key.channel, key.account, key.chat, key.thread)
        self._to = Destination(
            screen, address, wiring.front.budgets[key.channel], grows=screen.streams and wiring.streams
        )
        self._begun: dict[int, Reply] = {}
        """Replies that are not delivered yet, by the first seq that they answer."""

    def reply(self, answers: Answers) -> Reply:
        """Begin the reply to these messages, or resume it: one that this run began knows more than the disk does."""
        first = answers()[0]
        uptime = self._wiring.uptime if self._to.screen.nonce_seconds else None
        journal = _DraftRecords(self._wiring.store, self._session, answers, uptime)
        begun = self._begun.get(first)
        if begun is not None:
            begun.resume(journal)
            return begun
        parts = self._session.view.drafts.get(first, {})
        # A file begun again after one was set aside counts from 0 again; its beginning time keeps the nonces apart.
        seed = f"{self._session.key.file_name}/{self._session.view.began}/{first}"
        self._begun[first] = Reply(
            self._to,
            journal,
            nonce=hashlib.sha256(seed.encode()).hexdigest()[:NONCE_CHARACTERS],
            monotonic=self._wiring.uptime.seconds,
            known={
                number: Known(part.message_id, part.tries, self._age_seconds(part)) for number, part in parts.items()
            },
        )
        return self._begun[first]

    def _age_seconds(self, part: DraftPart) -> float:
        """Return the longest time that may have passed since a part was begun; infinite if no clock can be trusted."""
        boot, seconds = part.begun_up or ("", 0.0)
        begun = parse_time(part.begun)
        if begun is None or not boot or boot != self._wiring.uptime.boot:
            return inf
        # Somebody may have set the time of day back. A virtual machine's uptime stands still while it is stopped, and
        # goes back with an earlier state of it, or in a container that is given another beginning.
        by_the_day = (self._wiring.clock() - begun).total_seconds()
        by_uptime = self._wiring.uptime.seconds() - seconds
        return max(by_the_day, by_uptime) if by_uptime >= 0 else inf

    def reply_to(self, *answers: int) -> Reply:
        """Begin or resume the reply to a fixed set of messages."""
        return self.reply(lambda: answers)

    async def record(self, ending: AssistantMessage | Failure) -> Ending:
        """Begin to append how a turn ended; from then on it cannot end in another way."""
        first = min(ending.answers, default=0)
        if beside := tuple(seq for seq in self._session.view.commands if seq < first):
            ending = msgspec.structs.replace(ending, beside=beside)
        is_told = isinstance(ending, AssistantMessage) or ending.told
        return Ending(await self._wiring.store.enqueue(self._session, ending), is_told)

    async def settle(self, reply: Reply, ending: AssistantMessage | Failure, shown: str) -> tuple[str, ...]:
        """Record how a turn ended, then show it unless nobody is to be told; return the platform's message ids."""
        return await self.show(reply, await self.record(ending), shown)

    async def show(self, reply: Reply, ending: Ending, shown: str) -> tuple[str, ...]:
        """Show an ending once it is on disk, unless nobody is to be told; return the platform's message ids.

        Raises StorageError if it could not be recorded, and Unreachable as `deliver` does.
        """
        if ending.is_told:
            await asyncio.sleep(0)  # let the disk begin, so that `prepare` runs beside it
            reply.prepare(shown)
        [recorded] = await asyncio.shield(ending.recording)
        log.info(
            "ending_recorded", seq=recorded.seq, ending=recorded.reason if isinstance(recorded, Failure) else "reply"
        )
        if not ending.is_told:
            self.forget(reply)
            return ()
        return await self.deliver(reply, recorded.seq, shown)

    async def deliver(self, reply: Reply, of: int, shown: str | RichText) -> tuple[str, ...]:
        """Show the text for the record `of`, then record what the platform confirmed.

        Raises Unreachable; nothing is recorded then, and the reply stays undelivered until it can be shown.
        """
        outcome = await reply.finish(shown)
        log.info("reply_delivered", of=of, state=outcome.state, fault=outcome.fault or None)
        await self.record_delivery(of, outcome.message_ids, outcome.state)
        self.forget(reply)
        return outcome.message_ids

    async def redeliver(self) -> None:
        """Deliver what an earlier run, or an earlier try, left undelivered. Raises Unreachable as `deliver` does."""
        for ending in list(self._session.view.undelivered.values()):
            with bound_contextvars(session=self._session.path.stem, trace=ending.trace):
                reply = self.reply_to(*(ending.answers or (ending.seq,)))
                await self.deliver(reply, ending.seq, closing_text(ending))

    async def record_delivery(self, of: int, message_ids: tuple[str, ...], state: DeliveryState = "sent") -> None:
        """Append the `delivery` of the record `of`."""
        await self._wiring.store.append(self._session, Delivery(of=of, message_ids=message_ids, state=state))

    async def keep_typing(self, reply: Reply) -> None:
        """Renew the typing indicator until something of the reply is visible."""
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

    def forget(self, reply: Reply) -> None:
        """Keep nothing more of a reply, which is delivered or will never be."""
        self._begun = {first: begun for first, begun in self._begun.items() if begun is not reply}

    async def tell(self, text: str) -> None:
        """Send a text that cannot be recorded now, such as the notice that the disk is full."""
        await Teller(self._wiring.front, self._wiring.new_id).tell(self._to.address, text)

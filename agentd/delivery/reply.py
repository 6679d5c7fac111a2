"""One reply on its way: it may grow by edits while it is made, and ends as exactly what was recorded.

A reply is one platform message, or as many parts as the platform's limit makes of it. Each part is journalled before
the platform is called (`sending`) and after it answered (`sent`). A part that is known to be sent is edited. One that
was only `sending` may or may not have arrived. Where the platform still recognises its nonce it is sent again, and
then edited, since what stands there may be older; elsewhere that is another try, marked as a copy, and the outcome is
`uncertain`. Parts that the finished text does not fill are removed.

What is shown of a reply while it grows is made only where the rate budget has room to spare; its end waits for room.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Literal, Protocol, TypeVar

import structlog

from agentd.delivery.drafts import Drafts, NotNow
from agentd.delivery.governor import RateBudget
from agentd.errors import StorageError
from channels.base import Address, Screen
from channels.errors import NotSent, RateLimited, SendFailed, Unreachable
from channels.markup.characters import is_blank
from channels.markup.cutting import cut_piece
from channels.markup.rich import Dialect, RichText, plain

__all__ = ["COPY_NOTE", "Destination", "Journal", "Known", "Outcome", "Reply"]

COPY_NOTE = "[Sent again: I could not tell whether this had arrived.]\n"

T = TypeVar("T")

log = structlog.get_logger()

Room = Callable[[], Awaitable[None]]
"""Returns when the rate budget has room for a call, and takes it."""


class Journal(Protocol):
    """Where a reply's platform messages are put on disk."""

    async def sending(self, part: int) -> None:
        """Record that the platform is about to be called; returns once that is on disk."""
        ...

    async def sent(self, part: int, message_id: str) -> Awaitable[object] | None:
        """Begin to record the id that the platform gave; return what ends once that is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A part of this reply from an earlier run; without an id nobody knows whether it arrived."""

    message_id: str | None
    tries: int = 1
    """After more than one, an earlier one may stand above it."""
    age_seconds: float = inf
    """Time since the last try was begun."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the platform confirmed."""

    state: Literal["sent", "uncertain", "failed"]
    message_ids: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a reply goes, how often it may call there, and whether it may be seen growing."""

    screen: Screen
    address: Address
    budget: RateBudget
    grows: bool


@dataclass(slots=True)
class _Part:
    """One platform message, and how much of its way is on disk."""

    tries: int = 1
    begun_at: float = -inf
    message_id: str | None = None
    shown: RichText | None = None
    """What this run put there; None: not known."""
    is_visible: bool = False
    """Whether this run has shown anything there."""
    is_begun: bool = False
    is_recorded: bool = False
    recording: Awaitable[object] | None = None
    """Ends once the id is on disk; the model's next words are not kept waiting for that, the next edit is."""
    in_doubt: bool = False
    """Whether the last try may have arrived, though the platform did not confirm it."""

    @property
    def is_copy(self) -> bool:
        return self.tries > 1


class Reply:
    """The platform messages that one turn, notice or command answer becomes."""

    def __init__(
        self,
        to: Destination,
        journal: Journal,
        *,
        nonce: str,
        monotonic: Callable[[], float],
        known: Mapping[int, Known],
    ) -> None:
        """Send to one place; `nonce` is this reply's alone, the same in every run; `known` are its parts so far."""
        self._screen = to.screen
        self._to = to.address
        self._budget = to.budget
        self._journal = journal
        self._nonce = nonce
        self._monotonic = monotonic
        self._parts = {
            number: _Part(
                part.tries,
                monotonic() - part.age_seconds,
                part.message_id,
                is_begun=True,
                is_recorded=part.message_id is not None,
                in_doubt=part.message_id is None,
            )
            for number, part in known.items()
        }
        self._grows = to.grows
        self._growing = False
        self._showing = asyncio.Lock()
        self._drafts = Drafts(to.budget, to.address.chat, monotonic)
        self._prepared = ("", plain(""))
        self.fault: StorageError | None = None
        """Why something that was to be shown could not be recorded: nothing more is shown until `resume`."""
        self.resume(journal)

    @property
    def is_visible(self) -> bool:
        """Tell whether this run has shown the person anything of the reply."""
        return any(part.is_visible for part in self._parts.values())

    def resume(self, journal: Journal) -> None:
        """Make it anew, after a fault, for a turn that keeps this journal; what stands on the screen is taken up."""
        self._journal = journal
        self.fault = None
        self._growing = self._grows and not any(part.in_doubt for part in self._parts.values())

    def grow(self, text: str) -> None:
        """Take in what there is so far, to be shown by `catch_up`: the model is not kept waiting for the platform.

        Raises StorageError where something shown earlier could not be recorded.
        """
        if self.fault is not None:
            raise self.fault
        if self._growing and not is_blank(text):
            self._drafts.owe(text)

    def void(self) -> None:
        """Forget what was not shown yet: the model begins anew."""
        self._drafts.forget()

    def grow_no_more(self) -> None:
        """Begin no draft any more."""
        self._growing = False
        self._drafts.forget()

    async def rest(self) -> None:
        """Begin no draft any more, and return once none is under way: `is_visible` stays what it is then."""
        self.grow_no_more()
        async with self._showing:
            return

    async def catch_up(self) -> None:
        """Show what there is so far, whenever there is room for that, until this is cancelled.

        It ends by itself where something that was to be shown could not be recorded: then `fault` says why.
        """
        while True:
            await self._drafts.due(is_first=not self.is_visible)
            try:
                await self.show_growth()
            except StorageError as fault:
                self.fault = fault
                return
            except Exception:
                log.exception("draft_crashed")
                self._growing = False

    async def show_growth(self) -> None:
        """Show the newest of what is not shown yet, if this reply grows and there is room. Raises StorageError."""
        async with self._showing:
            text = self._drafts.owed
            if text is None or not self._growing:
                return
            if (seconds := self._drafts.wait_seconds()) > 0:
                self._drafts.postpone(text, seconds)
                return
            await self._begin(0, self._parts.setdefault(0, _Part()))
            text = self._drafts.owed  # meanwhile the model may have said more, come to its end, or begun anew
            if text is not None:
                self._drafts.forget()
                await self._show_draft(text)
                if not self.is_visible:
                    self._drafts.end()

    async def _show_draft(self, text: str) -> None:
        try:
            await self._show(text, self._drafts.take)
            self._drafts.rest()
        except NotNow as fault:
            self._drafts.postpone(text, fault.seconds)
        except (SendFailed, Unreachable):
            self._growing = False

    def prepare(self, text: str) -> None:
        """Take from `finish` what can be done before."""
        self._prepared = (text, self._screen.dialect.render(text))

    async def finish(self, text: str | RichText) -> Outcome:
        """Make the person's screen show exactly `text`; a platform that refuses is an outcome, not an error.

        Raises Unreachable, and then the reply is still to be delivered: finish it again.
        """
        self.grow_no_more()
        async with self._showing:
            if self.fault is not None:
                raise self.fault
            try:
                count = await self._show(text, self._must)
            except SendFailed as fault:
                return Outcome("failed", self._message_ids(), str(fault))
            finally:
                self._drafts.end()
            await self._remove_from(count)
            for part in self._parts.values():
                await self._recorded(part)
        is_uncertain = any(part.is_copy or part.in_doubt for part in self._parts.values())
        return Outcome("uncertain" if is_uncertain else "sent", self._message_ids())

    async def _show(self, text: str | RichText, room: Room) -> int:
        """Bring every part up to its piece of the text; return how many parts that took."""
        prepared, rest = self._prepared
        number, rest = 0, rest if text == prepared else _rendered(text, self._screen.dialect)
        while number == 0 or not is_blank(rest.text):
            part = self._parts.setdefault(number, _Part())
            if part.in_doubt and not self._is_recognised(part):
                part = self._parts[number] = _Part(part.tries + 1)
            piece, left = cut_piece(plain(COPY_NOTE) + rest if part.is_copy else rest, self._screen.dialect)
            if part.message_id is None:
                part.message_id = await self._send(number, part, piece, room)
            if not await self._edit(number, part, piece, part.message_id, room):
                continue
            number, rest = number + 1, left
        return number

    async def _must(self) -> None:
        """Wait for room."""
        await self._budget.turn(self._to.chat)

    async def _call(self, room: Room, call: Callable[[], Awaitable[T]]) -> T:
        """Call the platform; it is left alone as long as it asks for, and then called again."""
        while True:
            try:
                return await call()
            except RateLimited as fault:
                self._budget.refused(self._to.chat, fault.retry_after_seconds)
            await room()

    def _is_recognised(self, part: _Part) -> bool:
        return self._monotonic() - part.begun_at < self._screen.nonce_seconds

    async def _begin(self, number: int, part: _Part) -> None:
        """Record that a part is about to be sent, unless that is done."""
        if not part.is_begun:
            await self._journal.sending(number)
            part.is_begun, part.begun_at = True, self._monotonic()

    async def _send(self, number: int, part: _Part, piece: RichText, room: Room) -> str:
        await room()
        await self._begin(number, part)
        nonce = f"{self._nonce}-{number}-{part.tries % 1000}"
        # From here on it may have arrived, also if this is cancelled, until the platform has said something.
        was_in_doubt, part.in_doubt = part.in_doubt, True
        try:
            message_id = await self._call(room, lambda: self._screen.send(self._to, piece, nonce))
        except (NotSent, SendFailed, NotNow):
            part.in_doubt = was_in_doubt
            raise
        part.shown = None if was_in_doubt else piece
        part.is_visible = True
        part.in_doubt = False
        return message_id

    async def _edit(self, number: int, part: _Part, piece: RichText, message_id: str, room: Room) -> bool:
        """Record what was sent, and bring it up to date; False where that is refused, and another must be sent."""
        if not part.is_recorded:
            part.recording = await self._journal.sent(number, message_id)
            part.is_recorded = True
        if piece == part.shown:
            return True
        await self._recorded(part)
        await room()
        shown, part.shown = part.shown, None  # until the platform has said something
        try:
            await self._call(room, lambda: self._screen.edit(self._to, message_id, piece))
        except (NotSent, NotNow):
            part.shown = shown
            raise
        except SendFailed:
            if self._growing:
                raise
            # Deleted, or too old: what stands there is at best a part of this, so that what follows is marked.
            self._parts[number] = _Part(part.tries + 1, is_visible=part.is_visible)
            return False
        part.shown, part.is_visible = piece, True
        return True

    async def _recorded(self, part: _Part) -> None:
        """Wait until the part's id is on disk."""
        if part.recording is None:
            return
        try:
            await asyncio.shield(part.recording)
        except StorageError:
            part.is_recorded, part.recording = False, None
            raise
        part.recording = None

    async def _remove_from(self, count: int) -> None:
        """Remove the parts that the finished text does not fill; one that may not be removed stays."""
        for number in [number for number in self._parts if number >= count]:
            message_id = self._parts[number].message_id
            if message_id is None:
                continue
            try:
                await self._must()
                await self._call(self._must, partial(self._screen.delete, self._to, message_id))
            except SendFailed:
                continue
            del self._parts[number]

    def _message_ids(self) -> tuple[str, ...]:
        return tuple(part.message_id for _, part in sorted(self._parts.items()) if part.message_id is not None)


def _rendered(text: str | RichText, dialect: Dialect) -> RichText:
    """Return what is shown of Markdown; what has its marks already is shown as it is."""
    return text if isinstance(text, RichText) else dialect.render(text)

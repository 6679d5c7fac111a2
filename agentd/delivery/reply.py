"""Sends one reply to the platform: it may grow by edits while it is made, and ends as exactly the recorded text.

A reply is one platform message, or as many parts as the platform's limit makes of it. Each part is journalled before
the platform is called (`sending`) and after it answered (`sent`). A part known to be sent is edited. One that was only
`sending` may or may not have arrived. If the platform still recognises its nonce, it is sent again under that nonce,
and then edited, since the text there may be older; otherwise it is sent again as a marked copy, and the outcome is
`uncertain`. Parts that the finished text does not fill are removed.

After a 429 a call waits as long as the platform asks, and is repeated. Drafts are sent only if the rate budget has room
to spare; the final text waits for room.
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
"""Returns when the rate budget has room for a call, which it takes."""


class Journal(Protocol):
    """Records on disk which platform messages a reply consists of."""

    async def sending(self, part: int) -> None:
        """Record that the platform is about to be called; return once that is on disk."""
        ...

    async def sent(self, part: int, message_id: str) -> Awaitable[object] | None:
        """Begin to record the id that the platform gave; return an awaitable that ends once it is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A part of this reply from an earlier run; without an id nobody knows whether it arrived."""

    message_id: str | None
    tries: int = 1
    """If more than one, the message of an earlier try may stand above this one."""
    age_seconds: float = inf
    """Time since the last try began."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a delivery, as far as the platform confirmed it."""

    state: Literal["sent", "uncertain", "failed"]
    message_ids: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a reply goes, with which rate budget, and whether it may be shown growing."""

    screen: Screen
    address: Address
    budget: RateBudget
    grows: bool


@dataclass(slots=True)
class _Part:
    """One platform message, and what is on disk about it."""

    tries: int = 1
    begun_at: float = -inf
    message_id: str | None = None
    shown: RichText | None = None
    """What this run wrote there; None: not known."""
    is_visible: bool = False
    """Whether this run has shown anything there."""
    is_begun: bool = False
    is_recorded: bool = False
    recording: Awaitable[object] | None = None
    """Ends once the id is on disk. The model's next words do not wait for that; the next edit does."""
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
        """Send to one place. `nonce` is unique to this reply and the same in every run; `known` are its parts
        so far.
        """
        self._screen = to.screen
        self._to = to.address
        self._budget = to.budget
        self._journal = journal
        self._nonce = nonce
        self._monotonic = monotonic
        self._parts = {number: _taken_up(part, monotonic()) for number, part in known.items()}
        self._grows = to.grows
        self._growing = False
        self._showing = asyncio.Lock()
        self._drafts = Drafts(to.budget, to.address.chat, monotonic)
        self._prepared = ("", plain(""))
        self.fault: StorageError | None = None
        """Why a draft could not be recorded; nothing more is shown then until `resume`."""
        self.resume(journal)

    @property
    def is_visible(self) -> bool:
        """Tell whether this run has shown the person anything of the reply."""
        return any(part.is_visible for part in self._parts.values())

    def resume(self, journal: Journal) -> None:
        """Begin again, after a fault, with this journal; parts that are on the screen are reused."""
        self._journal = journal
        self.fault = None
        self._growing = self._grows and not any(part.in_doubt for part in self._parts.values())

    def grow(self, text: str) -> None:
        """Set the text so far, to be shown by `catch_up`: the model does not wait for the platform.

        Raises StorageError if an earlier draft could not be recorded.
        """
        if self.fault is not None:
            raise self.fault
        if self._growing and not is_blank(text):
            self._drafts.owe(text)

    def void(self) -> None:
        """Drop what was not shown yet: the model starts over."""
        self._drafts.forget()

    def grow_no_more(self) -> None:
        """Begin no more drafts."""
        self._growing = False
        self._drafts.forget()

    async def rest(self) -> None:
        """Begin no more drafts, and return once none is under way: `is_visible` does not change after that."""
        self.grow_no_more()
        async with self._showing:
            return

    async def catch_up(self) -> None:
        """Show the text so far whenever there is room for that, until cancelled.

        Returns only if a draft could not be recorded; `fault` says why.
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
        """Show the newest text that is not shown yet, if this reply grows and there is room. Raises StorageError."""
        async with self._showing:
            text = self._drafts.owed
            if text is None or not self._growing:
                return
            if (seconds := self._drafts.wait_seconds()) > 0:
                self._drafts.postpone(text, seconds)
                return
            await self._begin(0, self._parts.setdefault(0, _Part()))
            text = self._drafts.owed  # meanwhile the model may have said more, finished, or started over
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
        """Render the final text ahead of `finish`, while the disk is busy."""
        self._prepared = (text, self._screen.dialect.render(text))

    async def finish(self, text: str | RichText) -> Outcome:
        """Make the person's screen show exactly `text`; a refusal of the platform is an outcome, not an error.

        Raises Unreachable; the reply is then still to be delivered: call `finish` again. Raises StorageError if a part
        could not be recorded.
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
            if part.message_id is None and not await self._send(number, part, piece, room):
                continue
            if not await self._edit(number, part, piece, part.message_id or "", room):
                continue
            number, rest = number + 1, left
        return number

    async def _must(self) -> None:
        """Wait for room for a call that must be made."""
        await self._budget.turn(self._to.chat)

    async def _call(self, room: Room, call: Callable[[], Awaitable[T]]) -> T:
        """Call the platform; after a 429 wait as long as it asks and for room, then call again."""
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

    async def _send(self, number: int, part: _Part, piece: RichText, room: Room) -> bool:
        """Send a part; False where waiting for room took so long that its nonce is not recognised any more."""
        await room()
        await self._begin(number, part)
        nonce = f"{self._nonce}-{number}-{part.tries % 1000}"
        # From here on, even if cancelled, it may have arrived, until the platform has answered.
        was_in_doubt, part.in_doubt = part.in_doubt, True
        try:
            part.message_id = await self._call(room, lambda: self._place(part, piece, nonce, is_again=was_in_doubt))
        except (NotSent, SendFailed, NotNow):
            part.in_doubt = was_in_doubt
            raise
        if part.message_id is None:
            return False
        part.shown = None if was_in_doubt else piece
        part.is_visible = True
        part.in_doubt = False
        return True

    async def _place(self, part: _Part, piece: RichText, nonce: str, *, is_again: bool) -> str | None:
        """Call the platform, unless it would take a message that may stand there already for a new one."""
        if is_again and not self._is_recognised(part):
            return None
        return await self._screen.send(self._to, piece, nonce)

    async def _edit(self, number: int, part: _Part, piece: RichText, message_id: str, room: Room) -> bool:
        """Record what was sent, and edit it up to date; return False if that is refused and another must be sent."""
        if not part.is_recorded:
            part.recording = await self._journal.sent(number, message_id)
            part.is_recorded = True
        if piece == part.shown:
            return True
        await self._recorded(part)
        await room()
        shown, part.shown = part.shown, None  # until the platform has answered
        try:
            await self._call(room, lambda: self._screen.edit(self._to, message_id, piece))
        except (NotSent, NotNow):
            part.shown = shown
            raise
        except SendFailed:
            if self._growing:
                raise
            # Deleted, or too old to edit. What stands there is at best a part of this, so its replacement is marked as
            # a copy.
            self._parts[number] = _Part(part.tries + 1, is_visible=part.is_visible)
            return False
        part.shown, part.is_visible = piece, True
        return True

    async def _recorded(self, part: _Part) -> None:
        """Wait until the part's id is on disk. Raises StorageError."""
        if part.recording is None:
            return
        try:
            await asyncio.shield(part.recording)
        except StorageError:
            part.is_recorded, part.recording = False, None
            raise
        part.recording = None

    async def _remove_from(self, count: int) -> None:
        """Remove the parts that the finished text does not fill; one that the platform refuses to remove stays."""
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


def _taken_up(part: Known, now: float) -> _Part:
    return _Part(
        part.tries,
        now - part.age_seconds,
        part.message_id,
        is_begun=True,
        is_recorded=part.message_id is not None,
        in_doubt=part.message_id is None,
    )


def _rendered(text: str | RichText, dialect: Dialect) -> RichText:
    """Render Markdown for the platform; rich text is returned as it is."""
    return text if isinstance(text, RichText) else dialect.render(text)

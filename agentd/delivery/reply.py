"""One reply on its way: it may grow by edits while it is made, and ends as exactly what was recorded.

Every platform message is journalled before the platform is called (`sending`) and after it answered (`sent`). A
message of an earlier run that is known to be sent is edited; one that was only `sending` may or may not have
arrived, so the text is sent once more, marked as a copy, and the outcome is `uncertain`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from channels.base import Address, Channel
from channels.errors import SendFailed, Unreachable

__all__ = ["COPY_NOTE", "Destination", "Journal", "Known", "Outcome", "Reply"]

COPY_NOTE = "[Sent again: I could not tell whether this had arrived.]\n"

EDIT_PAUSE_SECONDS = 0.05
"""The least time between two edits of one message while it grows; the final is never held back."""


class Journal(Protocol):
    """Where a reply's platform messages are put on disk."""

    async def sending(self, part: int) -> None:
        """Record that the platform is about to be called; returns once that is on disk."""
        ...

    async def sent(self, part: int, message_id: str) -> None:
        """Record the id that the platform gave."""
        ...


@dataclass(frozen=True, slots=True)
class Known:
    """A platform message of this reply from an earlier run; without an id nobody knows whether it arrived."""

    message_id: str | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the platform confirmed."""

    state: Literal["sent", "uncertain", "failed"]
    message_ids: tuple[str, ...]
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a reply goes, and whether it may be seen growing there."""

    channel: Channel
    address: Address
    grows: bool


class Reply:
    """The platform message that one turn, notice or command answer becomes."""

    def __init__(
        self,
        to: Destination,
        journal: Journal,
        *,
        nonce: str,
        monotonic: Callable[[], float],
        known: Known | None = None,
    ) -> None:
        """Send to one place; `nonce` is the same for every try at the same reply."""
        self._channel = to.channel
        self._to = to.address
        self._journal = journal
        self._nonce = nonce
        self._monotonic = monotonic
        self._message_id = known.message_id if known else None
        self._uncertain = known is not None and known.message_id is None
        self._growing = to.grows and not self._uncertain
        self._shown = ""
        self._next_edit = 0.0

    @property
    def is_visible(self) -> bool:
        """Tell whether this run has shown the person anything of the reply."""
        return bool(self._shown)

    async def grow(self, text: str) -> None:
        """Show what there is so far, if this reply grows and enough time has passed."""
        if not self._growing or not text.strip() or self._monotonic() < self._next_edit:
            return
        try:
            await self._show(text)
        except (SendFailed, Unreachable):
            self._growing = False
        self._next_edit = self._monotonic() + EDIT_PAUSE_SECONDS

    async def finish(self, text: str) -> Outcome:
        """Make the person's screen show exactly `text`; a platform that refuses is an outcome, not an error.

        Raises Unreachable, and then the reply is still to be delivered.
        """
        try:
            await self._show(COPY_NOTE + text if self._uncertain else text)
        except SendFailed as fault:
            return Outcome("failed", (), str(fault))
        return Outcome("uncertain" if self._uncertain else "sent", (self._message_id,) if self._message_id else ())

    async def _show(self, text: str) -> None:
        if self._message_id is None:
            await self._journal.sending(0)
            self._message_id = await self._channel.send(self._to, text, self._nonce)
            self._shown = text
            await self._journal.sent(0, self._message_id)
        elif text != self._shown:
            await self._channel.edit(self._to, self._message_id, text)
            self._shown = text

"""This module remembers recent edits and deletions, since Slack redelivers a message in its first form."""

from __future__ import annotations

from dataclasses import replace

from channels.slack.parse import Said

__all__ = ["Changes"]

MOST_CHANGES = 10_000
"""How many messages have their last change remembered; the oldest are forgotten first. Redelivery lasts minutes."""


class Changes:
    """Remembers the last edit or deletion of each message."""

    def __init__(self) -> None:
        """Begin without knowing any."""
        self._last: dict[tuple[str, str], Said] = {}

    def note(self, change: Said) -> None:
        """Remember an edit or a deletion, unless a later one is known."""
        key = change.address.chat, change.message_id
        before = self._last.pop(key, change)
        is_older = before.kind == "delete" or (change.kind == "edit" and change.at < before.at)
        self._last[key] = before if is_older else change
        if len(self._last) > MOST_CHANGES:
            del self._last[next(iter(self._last))]

    def apply(self, message: Said) -> Said | None:
        """Return a message with its last edit applied; None: it was deleted."""
        change = self._last.get((message.address.chat, message.message_id))
        if change is None:
            return message
        return replace(message, text=change.text) if change.kind == "edit" else None

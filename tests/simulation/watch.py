"""This module checks what must hold at every moment, whenever the daemon tells the world something."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from agentd.conversation.inbound_records import session_key
from channels.base import InboundEdit, InboundMessage
from tests.simulation.chat import Platform, Shown, Update
from tests.simulation.disk import Storage

__all__ = ["UNSAVED", "Watch", "records_of"]

UNSAVED = ("I cannot answer now:", "I could not read our conversation so far")
"""Begin what is said when the disk refuses: the messages of which the disk cannot know."""


class Watch:
    """Looks at the disk whenever the daemon confirms, sends or asks."""

    def __init__(self, storage: Storage, platform: Platform, scope: str, fail: Callable[[str], None]) -> None:
        """Report what does not hold to `fail`."""
        self.fail = fail
        self.is_blind = False
        """Whether to look at outcomes alone: what a power cut would do is then seen only where one comes."""
        self.kept: dict[str, bytes] = {}
        """What must stand at the start of each file for ever."""
        self._storage = storage
        self._platform = platform
        self._scope = scope

    def taken(self, update: Update) -> None:
        """`accept` has returned: the daemon says that it has this."""
        update.was_taken = True
        name = f"{session_key(update.inbound, self._scope).file_name}.jsonl"
        sure = self._storage.sure(name)
        self.stays(name, sure)
        end = _end_of(update, sure)
        if self.is_blind:
            return
        if end is None:
            self.fail(f"{update} was confirmed, and a power cut now would lose it")
        else:
            self.kept[name] = max(self.kept.get(name, b""), sure[:end], key=len)

    def stays(self, name: str, content: bytes) -> None:
        """Whatever was confirmed stands where it stood, byte by byte."""
        if name not in self._storage.abandoned and not content.startswith(self.kept.get(name, b"")):
            self.fail(f"{name}: bytes of confirmed records changed")

    def shows(self, new: Shown) -> None:
        """A message has arrived on the platform: that it might is on disk before."""
        if self.is_blind or new.text.startswith(UNSAVED):
            return
        chat = new.chat
        shown = sum(not s.text.startswith(UNSAVED) for s in self._platform.shown.values() if s.chat == chat)
        files = [name for name in self._storage.sure_names if f"~{chat}~" in name]
        begun = sum(self._storage.sure(name).count(b'"state":"sending"') for name in files)
        if begun < shown:
            self.fail(f"message {shown} in {chat} is shown, and {begun} are begun on disk")


def _end_of(update: Update, content: bytes) -> int | None:
    """Return where the record of an update ends in a file; None if it is not there, 0 if it needs no record."""
    records = list(records_of(content))
    found = next(((end, record) for end, record in records if _is_of(update, record)), None)
    if isinstance(update.inbound, InboundMessage):
        return None if found is None else found[0]
    if found is None or found[1]["type"] == "command":
        return 0
    changes = (end for end, record in records if record.get("of") == found[1]["seq"] and _holds(record, update))
    return next(changes, None)


def _is_of(update: Update, record: dict[str, Any]) -> bool:
    source = record.get("source") or {}
    is_accepted = record["type"] in ("message", "command")
    return is_accepted and (source.get("chat"), source.get("message_id")) == (update.chat, update.inbound.message_id)


def _holds(record: dict[str, Any], update: Update) -> bool:
    """Tell whether a record is that of an edit or deletion, or of a later one of the same message."""
    if record["type"] == "delete":
        return True
    if record["type"] != "edit" or not isinstance(update.inbound, InboundEdit):
        return False
    when = update.inbound.edited_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return bool(record["edited_at"] >= when)


def records_of(content: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the records of a file and where each ends; what is no record is passed over."""
    end = 0
    for line in content.split(b"\n"):
        end += len(line) + 1
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            yield min(end, len(content)), record

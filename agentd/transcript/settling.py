"""Decides from a file's newest records what is settled, so that a start need not read whole files.

Everything unsettled comes after a boundary. A turn takes the oldest waiting messages, after every command before them,
and is delivered before the next one begins: so everything before the first message of a delivered turn is settled. A
turn for a command alone (`/retry`) is no boundary: what it answers comes before it. Neither is an ending that nobody is
told: `/new` may write one while the reply before it is still undelivered. Nor is the ending of a turn that began while
a `/compact` before it was still at work: it names that command in `beside`.

If a record before a boundary is damaged, what it settled seems to wait again, but is not looked for: it was settled,
and a repair puts that on record.
"""

from __future__ import annotations

import msgspec

from agentd.transcript.records import (
    UNNUMBERED,
    AssistantMessage,
    Command,
    Damaged,
    Delete,
    Delivery,
    Edit,
    Failure,
    Record,
    Unknown,
    UserMessage,
    parse_line,
)
from agentd.transcript.view import AFTER_EVERY_TIME

__all__ = ["Boundary", "is_settled_end"]

_DRAFT = b'{"type":"draft","seq":'
"""The beginning of a numbered draft's line: drafts settle nothing and are never pending."""

_delivery_decoder = msgspec.json.Decoder(Delivery)
_reply_decoder = msgspec.json.Decoder(AssistantMessage)

_TIME_CHARACTERS = 24
_USER = b'","role":"user",'
"""What follows the time in the line of a person's message."""


class Boundary:
    """Finds the boundary, and whether anything after it is unsettled; it is fed records, newest first."""

    def __init__(self) -> None:
        """Begin at the end of a file."""
        self._delivered: set[int] = set()
        self._ended: set[int] = set()
        self._first: set[int] = set()
        self.is_reached = False
        """Whether everything before the last record that was passed is settled."""
        self.is_clear = True
        """Whether it is certain that nothing so far is pending."""

    def pass_by(self, record: Record | Damaged | Unknown) -> None:
        """Look at the next older record."""
        match record:
            case Delivery():
                self._delivered.add(record.of)
            case AssistantMessage() | Failure():
                self._pass_ending(record)
            case UserMessage():
                waits = record.source is not None and record.seq not in self._ended
                self.is_clear = self.is_clear and not waits
                self.is_reached = self.is_reached or record.seq in self._first
            case Command():
                waits = record.seq not in self._delivered and record.seq not in self._ended
                self.is_clear = self.is_clear and not waits
            case Delete():
                self._ended.add(record.of)
            case Edit():
                # An edit with such a time, which no platform gives, would outlast a deletion.
                self.is_clear = self.is_clear and record.edited_at < AFTER_EVERY_TIME
            case _:
                return
        self.is_clear = self.is_clear and record.seq != UNNUMBERED

    def _pass_ending(self, ending: AssistantMessage | Failure) -> None:
        self._ended.update(ending.answers)
        is_said = bool(ending.answers) if isinstance(ending, AssistantMessage) else ending.told
        if is_said and ending.seq not in self._delivered:
            self.is_clear = False
        elif is_said and ending.answers and not ending.beside:
            self._first.add(min(ending.answers))


def is_settled_end(end: bytes, *, is_whole: bool) -> bool:
    """Tell whether the end of a file proves that nothing in the file is pending; with `is_whole` it is the whole file.

    False proves nothing: more of the file has to be read.
    """
    if _ends_in_a_turn(end):
        return True
    boundary = Boundary()
    stop = len(end)
    while stop >= 0:
        start = end.rfind(b"\n", 0, stop) + 1
        if start == 0 and not is_whole:
            return False
        if start < stop and not end.startswith(_DRAFT, start):
            boundary.pass_by(parse_line(end[start:stop]))
            if boundary.is_reached or not boundary.is_clear:
                return boundary.is_clear
        stop = start - 1
    return True


def _ends_in_a_turn(end: bytes) -> bool:
    """Check for the usual end of a file (message, drafts, reply, delivery), in half the time."""
    reply_stop = end.rfind(b"\n", 0, len(end) - 1)
    start = end.rfind(b"\n", 0, max(reply_stop, 0)) + 1
    try:
        delivery = _delivery_decoder.decode(end[reply_stop + 1 : -1])
        reply = _reply_decoder.decode(end[start:reply_stop])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    if reply.seq != delivery.of or not reply.answers or reply.beside:
        return False
    begin = b'{"type":"message","seq":%d,"ts":"' % min(reply.answers)
    while start > 0:
        stop = start - 1
        start = end.rfind(b"\n", 0, stop) + 1
        if not end.startswith(_DRAFT, start):
            # The message itself is not parsed: were it damaged, the reply would still prove it settled.
            return end.startswith(begin, start) and end.startswith(_USER, start + len(begin) + _TIME_CHARACTERS)
    return False

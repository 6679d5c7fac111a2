"""Remembers which messages were accepted already, to recognise redeliveries (dedup); ids only, since every open session
has one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Self

from agentd.transcript.clock import parse_time

__all__ = ["SEEN_HOURS", "SEEN_MESSAGES", "Seen"]

SEEN_MESSAGES = 2_000
"""Redeliveries are recognised among at least so many of the newest messages ..."""

SEEN_HOURS = 24
"""... and at least so far back: Telegram keeps unconfirmed updates for that long."""


@dataclass(slots=True)
class Seen:
    """The platform ids of the newest messages and commands, oldest first, each with its seq."""

    _seqs: dict[bytes, int] = field(default_factory=dict)
    _times: array[float] = field(default_factory=lambda: array("d"))
    """When each was accepted, in seconds since the epoch; one without a readable time has that of the one before."""

    @classmethod
    def of(cls, entries: Iterable[tuple[str, str, int, str]]) -> Self:
        """Build it from chat, message id, seq and ts of each, oldest first."""
        seen = cls()
        for chat, message_id, seq, ts in entries:
            seen._append(_key(chat, message_id), seq, _seconds(ts))
        return seen

    def __len__(self) -> int:
        return len(self._seqs)

    def __iter__(self) -> Iterator[tuple[str, str, int]]:
        """Yield chat, message id and seq."""
        for key, seq in self._seqs.items():
            chat, _, message_id = key.decode("utf-8", "surrogatepass").partition("\0")
            yield chat, message_id, seq

    def find(self, chat: str, message_id: str) -> int | None:
        """Return the seq of a message or command; None if it is not known."""
        return self._seqs.get(_key(chat, message_id))

    def add(self, chat: str, message_id: str, seq: int, ts: str) -> None:
        """Add one, and forget the oldest ones that are beyond both limits."""
        self._append(_key(chat, message_id), seq, moment := _seconds(ts))
        if moment is not None and len(self._seqs) > SEEN_MESSAGES:
            self._forget(before=moment - SEEN_HOURS * 3600)

    def join(self, older: Seen) -> None:
        """Put the older ids before these; `older` must not be used after this."""
        for (key, seq), moment in zip(self._seqs.items(), self._times, strict=True):
            older._append(key, seq, moment)
        self._seqs, self._times = older._seqs, older._times

    def _append(self, key: bytes, seq: int, moment: float | None) -> None:
        if key not in self._seqs:
            before = self._times[-1] if self._times else 0.0
            self._times.append(before if moment is None else moment)
        self._seqs[key] = seq

    def _forget(self, before: float) -> None:
        count, spare = 0, len(self._seqs) - SEEN_MESSAGES
        while count < spare and self._times[count] < before:
            count += 1
        for key in list(islice(self._seqs, count)):
            del self._seqs[key]
        del self._times[:count]


def _key(chat: str, message_id: str) -> bytes:
    return f"{chat}\0{message_id}".encode("utf-8", "surrogatepass")


def _seconds(ts: str) -> float | None:
    moment = parse_time(ts)
    return None if moment is None else moment.timestamp()

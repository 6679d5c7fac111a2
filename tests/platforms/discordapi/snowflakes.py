"""This module makes snowflakes, ids that hold the time: https://discord.com/developers/docs/reference#snowflakes."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

EPOCH_MS: Final = 1_420_070_400_000
"""Discord's time begins with the year 2015."""


class Snowflakes:
    """Where ids come from: those of one millisecond count up."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """Take the time, in Unix seconds, from `clock`."""
        self._clock = clock
        self._numbers = itertools.count()

    def next(self, at: float | None = None) -> int:
        """Return a new id, of now or of another time in Unix seconds."""
        when_ms = int((self._clock() if at is None else at) * 1000)
        return ((when_ms - EPOCH_MS) << 22) | (next(self._numbers) & 0x3FFFFF)


def seconds_of(snowflake: int) -> float:
    """Return the time that an id holds, in Unix seconds."""
    return ((snowflake >> 22) + EPOCH_MS) / 1000


def timestamp_of(snowflake: int) -> str:
    """Return the time that an id holds, as the API writes times."""
    return write_time(seconds_of(snowflake))


def write_time(seconds: float) -> str:
    """Return a time, in Unix seconds, as the API writes times."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds")

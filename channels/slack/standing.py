"""This module keeps faults in the channel's health that a working connection does not mend, such as a refused token."""

from __future__ import annotations

from typing import Literal

from channels.health import Health

__all__ = ["Standing", "What"]

What = Literal["keeping", "places", "token"]


class Standing:
    """Holds what is wrong besides the connection, each fault until the same thing works again."""

    def __init__(self, health: Health) -> None:
        """Report the faults in `health`."""
        self._health = health
        self._faults: dict[What, str] = {}

    def begin(self, what: What, sentence: str) -> None:
        """Note that this has failed."""
        self._faults[what] = sentence
        self._health.fault = sentence

    def end(self, what: What) -> None:
        """Note that this works again."""
        mended = self._faults.pop(what, None)
        if mended is not None and self._health.fault == mended:
            self._health.fault = self._first

    def greet(self) -> None:
        """Note that Slack has taken a connection, which does not show yet that events come."""
        if self._health.greet():
            self._health.fault = self._first

    def alive(self) -> None:
        """Note a sign of life: the connection is well."""
        self._health.touch()
        self._health.fault = self._first

    @property
    def _first(self) -> str:
        return next(iter(self._faults.values()), "")

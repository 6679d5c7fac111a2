"""Faults that stay named until what failed works again: a sign of life from Slack mends none of them."""

from __future__ import annotations

from typing import Literal

from channels.health import Health

__all__ = ["Standing", "What"]

What = Literal["keeping", "places", "token"]


class Standing:
    """What is wrong besides the connection."""

    def __init__(self, health: Health) -> None:
        """Say it in `health`."""
        self._health = health
        self._faults: dict[What, str] = {}

    def begin(self, what: What, sentence: str) -> None:
        """Note that this does not work."""
        self._faults[what] = sentence
        self._health.fault = sentence

    def end(self, what: What) -> None:
        """Note that this works."""
        mended = self._faults.pop(what, None)
        if mended is not None and self._health.fault == mended:
            self._health.fault = self._first

    def greet(self) -> None:
        """Note that Slack is there: a greeting, which says nothing of what follows."""
        if self._health.greet():
            self._health.fault = self._first

    def alive(self) -> None:
        """Note a sign of life: the connection is well."""
        self._health.touch()
        self._health.fault = self._first

    @property
    def _first(self) -> str:
        return next(iter(self._faults.values()), "")

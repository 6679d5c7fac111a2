"""Whom a platform says that a token belongs to: for who sets the daemon up, and for who looks after it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Introduction"]


@dataclass(frozen=True, slots=True)
class Introduction:
    """A platform's answer to a token. Its names are people's words."""

    who: str
    """For example `the bot @ada_helper_bot`."""
    way: str = ""
    """A sentence for people: how they come to talk to it."""
    lacks: str = ""
    """What keeps it from doing what is configured, and what to change; empty: nothing is known to."""

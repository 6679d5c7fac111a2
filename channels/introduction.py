"""This module defines what a platform tells about a token: which bot it belongs to, and what that bot lacks.

The setup wizard and `agentd check` show it.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Introduction"]


@dataclass(frozen=True, slots=True)
class Introduction:
    """A platform's answer about a token. The names in it were chosen by people, and are not to be trusted."""

    who: str
    """For example `the bot @ada_helper_bot`."""
    way: str = ""
    """A sentence that tells people how to reach the bot."""
    lacks: str = ""
    """What keeps the bot from doing what is configured, and what to change; empty: nothing known."""

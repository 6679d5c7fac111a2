"""This package is the console channel: a chat on a terminal, or one answer to each line that comes through a pipe."""

from __future__ import annotations

from channels.console.channel import ConsoleChannel, open_console

__all__ = ["ConsoleChannel", "open_console"]

"""The console: a chat on a terminal, or one answer for each line on a pipe."""

from __future__ import annotations

from channels.console.channel import ConsoleChannel, open_console

__all__ = ["ConsoleChannel", "open_console"]

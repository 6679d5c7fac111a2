"""This module reads the console's messages: lines from a pipe, or what a person enters at a prompt."""

from __future__ import annotations

import os
import select
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from channels.console.text import clean_input, decode_line
from channels.console.threads import on_thread

__all__ = ["LineTooLong", "Lines", "PipeLines", "TerminalLines", "quiet_controls"]

MAX_LINE_BYTES = 8 * 1024 * 1024
"""More than anybody types or pastes; a stream without line ends must not fill the memory."""


LOCAL_MODES = 3
"""The index of the flags for echo in what `termios.tcgetattr` returns."""


BLOCK_BYTES = 64 * 1024
"""What a Linux pipe holds (`man 7 pipe`)."""


class LineTooLong(Exception):
    """A line over the bound was read to its end and dropped."""


class Lines(Protocol):
    """A source of messages."""

    async def read(self) -> str | None:
        """Return the next message; None at the end of input. Raises LineTooLong, and OSError from a broken source."""
        ...


class PipeLines:
    """Reads a line on demand from a file descriptor, without Python's buffered streams.

    Those are locked while a thread waits in them, and the interpreter needs the lock when it exits.
    """

    def __init__(self, descriptor: int) -> None:
        """Read from an open descriptor, blocking or not."""
        self._descriptor = descriptor
        self._ahead = bytearray()

    async def read(self) -> str | None:
        """Return the next line; the last one counts without its newline too."""
        line = await on_thread(self._read_line, "console-input")
        if line is None:
            raise LineTooLong
        return decode_line(line) if line else None

    def _read_line(self) -> bytes | None:
        """Return a line with its end, nothing at the end of input, None for a line over the bound, read to its end."""
        fits, searched = True, 0
        while (end := self._ahead.find(b"\n", searched) + 1) == 0:
            if len(self._ahead) > MAX_LINE_BYTES:
                fits = False
                self._ahead.clear()
            searched = len(self._ahead)
            block = _read_block(self._descriptor)
            if not block:
                end = searched
                break
            self._ahead += block
        line = bytes(self._ahead[:end])
        del self._ahead[:end]
        return line if fits and len(line) <= MAX_LINE_BYTES else None


def _read_block(descriptor: int) -> bytes:
    """Wait until bytes are there and return them; empty at the end of input."""
    while True:
        try:
            return os.read(descriptor, BLOCK_BYTES)
        except BlockingIOError:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll()


@contextmanager
def quiet_controls(descriptor: int) -> Iterator[None]:
    """Keep a terminal from showing `^C` in its text while the block lasts."""
    before = termios.tcgetattr(descriptor)
    quiet = termios.tcgetattr(descriptor)
    quiet[LOCAL_MODES] &= ~termios.ECHOCTL
    termios.tcsetattr(descriptor, termios.TCSANOW, quiet)
    try:
        yield
    finally:
        with suppress(termios.error):  # the terminal may be gone
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


class TerminalLines:
    """A prompt with editing, history and multi-line paste."""

    def __init__(self) -> None:
        """Prepare line editing with prompt_toolkit, which is imported here so that a service never pays for it."""
        from prompt_toolkit import PromptSession

        self._prompt: PromptSession[str] = PromptSession()

    async def read(self) -> str | None:
        """Return what the person enters; None for Ctrl-D. Ctrl-C drops what was typed, as in a shell."""
        from prompt_toolkit.formatted_text import FormattedText

        question = FormattedText([("bold", "you> ")])
        while True:
            try:
                return clean_input(await self._prompt.prompt_async(question, handle_sigint=False))
            except KeyboardInterrupt:
                continue
            except (EOFError, OSError, termios.error):
                return None  # Ctrl-D, or the window was closed

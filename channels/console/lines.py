"""Where the console's messages come from: lines of a pipe, or a person at a prompt."""

from __future__ import annotations

import asyncio
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import BinaryIO, Protocol

from channels.console.text import clean_input, decode_line

__all__ = ["LineTooLong", "Lines", "PipeLines", "TerminalLines", "quiet_controls"]

MAX_LINE_BYTES = 8 * 1024 * 1024
"""More than anybody types or pastes; a stream without line ends must not fill the memory."""


LOCAL_MODES = 3
"""Where `termios.tcgetattr` has the flags for echo."""


class LineTooLong(Exception):
    """A line over the bound was read to its end and dropped."""


class Lines(Protocol):
    """A source of messages."""

    async def read(self) -> str | None:
        """Return the next message; None at the end of input. Raises LineTooLong."""
        ...


class PipeLines:
    """Reads a line when one is asked for, on a thread that does not hold up the process's end."""

    def __init__(self, source: BinaryIO) -> None:
        """Read from a blocking stream of bytes."""
        self._source = source

    async def read(self) -> str | None:
        """Return the next line; the last one counts without its newline too."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[bytes] = loop.create_future()
        threading.Thread(target=self._read_line, args=(loop, done), name="console-input", daemon=True).start()
        line = await done
        if len(line) > MAX_LINE_BYTES:
            raise LineTooLong
        return decode_line(line) if line else None

    def _read_line(self, loop: asyncio.AbstractEventLoop, done: asyncio.Future[bytes]) -> None:
        line = self._source.readline(MAX_LINE_BYTES + 1)
        rest = line
        while len(rest) > MAX_LINE_BYTES and not rest.endswith(b"\n"):
            rest = self._source.readline(MAX_LINE_BYTES + 1)
        try:
            loop.call_soon_threadsafe(_resolve, done, line)
        except RuntimeError:
            return  # the loop has ended while this thread waited for input


@contextmanager
def quiet_controls(descriptor: int) -> Iterator[None]:
    """Keep a terminal from writing `^C` into the text that it shows, for as long as the block lasts."""
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
        """Take over the terminal's line editing from the first `read` on; a service never pays for the import."""
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


def _resolve(done: asyncio.Future[bytes], line: bytes) -> None:
    if not done.done():
        done.set_result(line)

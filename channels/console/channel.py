"""The console channel talks to one person through the process's standard input and output.

It reads the next message when the last one is settled. On a terminal a reply streams as it is made, and Ctrl-C stops
it; on a pipe each answer is written once, whole. Message ids are random, so that they never repeat after a restart.
"""

from __future__ import annotations

import asyncio
import getpass
import shutil
import signal
import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Protocol

import structlog

from channels.base import Accept, Address, Author, InboundMessage, Places, RemoteFile
from channels.console.lines import MAX_LINE_BYTES, Lines, LineTooLong, PipeLines, TerminalLines, quiet_controls
from channels.console.output import Output, is_closed
from channels.console.text import printable
from channels.errors import ChannelFailed, FetchFailed, NotAccepted, Unreachable
from channels.health import Health
from channels.markup.rich import PLAIN, RichText
from channels.pacing import UNPACED
from channels.tools import Tools

__all__ = ["ConsoleChannel", "open_console"]

log = structlog.get_logger()

ADDRESS = Address("console", "local", "terminal")

MOST_COLUMNS = 100
"""Longer lines are hard to read."""

LEAVE_SECONDS = 1
"""How long writing the word that is still held back may take when a chat ends."""

GREETING = "Write a message. /help lists the commands, Ctrl-C stops a reply, Ctrl-D leaves."
AGAIN = "[Shown again after a restart:]"
EMPTY = "There is nothing in that message to answer."
SEND_AGAIN = "After that, send it again."
TOO_LONG = f"That line is longer than {MAX_LINE_BYTES // 1024**2} MiB and was not taken. Send it in parts."


class Wrap(Protocol):
    """Breaks a terminal's lines between words; `channels.console.wrap` is imported only where there is a terminal."""

    def feed(self, text: str) -> str:
        """Return what can be written now."""
        ...

    def flush(self) -> str:
        """Return what was held back; the line ends here."""
        ...

    def release(self) -> str:
        """Return what was held back; the line goes on and is no longer wrapped."""
        ...


class ConsoleChannel:
    """One person at a terminal, or a script at a pipe."""

    name = "console"
    rates = UNPACED
    dialect = PLAIN
    nonce_seconds = 0.0
    typing_seconds = 0.0

    def __init__(self, lines: Lines, output: Output, author: Author, tools: Tools, wrap: Wrap | None) -> None:
        """Read messages from `lines` and write answers to `output`.

        `wrap` is how a terminal breaks lines; None is a pipe, which is given the text as it is.
        """
        self.streams = wrap is not None
        self._lines = lines
        self._output = output
        self._author = author
        self.health = Health(tools.monotonic)
        self._new_id = tools.new_id
        self._run = tools.new_id()
        self._wrap = wrap
        self._shown: dict[str, str] = {}
        self._open_line = False
        self._fault: OSError | None = None
        self._replying = False

    async def run(self, accept: Accept, places: Places) -> None:
        """Read a message, hand it over, wait for its answer, and repeat until the input ends or the output is closed.

        Raises ChannelFailed if answers were lost for another reason than that their reader closed the output.
        """
        del places  # nobody could have written meanwhile
        if self.streams:
            await self._say(GREETING)
        try:
            with self._stop_on_interrupt() as interrupted:
                await self._chat(accept, interrupted)
        finally:
            await self._stop_wrapping()
        if self._fault is not None and not is_closed(self._fault):
            raise ChannelFailed(f"the console's output failed, answers are lost: {self._fault}") from self._fault

    async def _chat(self, accept: Accept, interrupted: asyncio.Event) -> None:
        while self._fault is None:
            try:
                text = await self._lines.read()
            except LineTooLong:
                await self._say(TOO_LONG)
                continue
            except OSError as fault:
                log.warning("console_input_failed", fault=str(fault))
                return
            if text is None:
                return
            if text.strip():
                await self._converse(text, accept, interrupted)
            else:
                await self._say(EMPTY)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Write a message; on a terminal it stays open for `edit` to grow until the next one."""
        del to, nonce
        message_id = f"{self._run}.{self._new_id()}"
        self._shown = {message_id: text.text}
        await self._write(text.text, begins=True)
        return message_id

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Write the part of a message that is new; a text that does not continue the shown one is written whole.

        A message of an earlier run cannot be changed: it is written again under a line that says so.
        """
        del to
        whole = text.text if message_id.startswith(f"{self._run}.") else f"{AGAIN}\n{text.text}"
        shown = self._shown.get(message_id)
        self._shown = {message_id: whole}
        if shown is not None and whole.startswith(shown):
            await self._write(whole.removeprefix(shown), begins=False)
        else:
            await self._write(whole, begins=True)

    async def delete(self, to: Address, message_id: str) -> None:
        """Do nothing: what is written stays written, and a reply without a limit has no second part."""
        del to, message_id

    async def show_typing(self, to: Address) -> None:
        """Do nothing: a terminal has no typing indicator, and needs none."""
        del to

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Raise FetchFailed: no files come through a terminal."""
        raise FetchFailed(f"{file.name} cannot be had from a terminal")

    async def _converse(self, text: str, accept: Accept, interrupted: asyncio.Event) -> None:
        interrupted.clear()
        self._replying = True
        try:
            receipt = await accept(self._message(text))
            async with asyncio.TaskGroup() as tasks:
                stopper = tasks.create_task(self._stop_when(interrupted, accept), name="console-interrupt")
                await receipt.settled()
                stopper.cancel()
            with suppress(Unreachable):
                await self._end_line()
        except NotAccepted as fault:
            await self._say(f"{fault} {SEND_AGAIN}")
        finally:
            self._replying = False

    async def _stop_when(self, interrupted: asyncio.Event, accept: Accept) -> None:
        await interrupted.wait()
        try:
            receipt = await accept(self._message("/stop"))
        except NotAccepted as fault:
            await self._say(f"{fault} {SEND_AGAIN}")
            return
        await receipt.settled()

    def _message(self, text: str) -> InboundMessage:
        return InboundMessage(ADDRESS, self._author, self._new_id(), datetime.now(UTC), text)

    async def _say(self, text: str) -> None:
        """Write something that is no part of the conversation."""
        with suppress(Unreachable):
            await self._write(text, begins=True)
            await self._end_line()

    async def _end_line(self) -> None:
        if self._open_line:
            self._open_line = False
            await self._put(self._wrap.flush() + "\n\n" if self._wrap else "\n")

    async def _write(self, text: str, *, begins: bool) -> None:
        if begins:
            await self._end_line()
        self._open_line = True
        await self._put(self._wrap.feed(printable(text)) if self._wrap else printable(text))
        if not self.streams:
            await self._end_line()

    async def _stop_wrapping(self) -> None:
        """Write the word that is being held back; what the daemon still says while it drains is no longer wrapped."""
        wrap, self._wrap = self._wrap, None
        held = wrap.release() if wrap else ""
        if held:
            with suppress(Unreachable, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._put(held)

    async def _put(self, text: str) -> None:
        try:
            await self._output.write(text.encode("utf-8", "replace"))
        except OSError as fault:
            if self._fault is None:
                self._fault = fault
                log.warning("console_output_failed", fault=str(fault))
            raise Unreachable(f"the console's output cannot be written: {fault}") from fault

    @contextmanager
    def _stop_on_interrupt(self) -> Iterator[asyncio.Event]:
        """Make Ctrl-C on a terminal stop the reply that is being made.

        While no reply is being made, and after the block has ended, Ctrl-C acts as SIGTERM does: an orderly shutdown.
        The event loop cannot tell which handler stood there before, so that it cannot be restored.
        """
        interrupted = asyncio.Event()
        if not self.streams:
            yield interrupted
            return

        def interrupt() -> None:
            if self._replying:
                interrupted.set()
            else:
                signal.raise_signal(signal.SIGTERM)

        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        with quiet_controls(sys.stdin.fileno()):
            yield interrupted


def open_console(tools: Tools) -> ConsoleChannel:
    """Return the channel on this process's standard streams: a chat if both are a terminal, else a line at a time."""
    name = _user_name()
    author = Author(name, name)
    output = Output(sys.stdout.fileno())
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return ConsoleChannel(PipeLines(sys.stdin.fileno()), output, author, tools, None)
    from channels.console.wrap import WordWrap

    wrap = WordWrap(min(shutil.get_terminal_size().columns, MOST_COLUMNS))
    return ConsoleChannel(TerminalLines(), output, author, tools, wrap)


def _user_name() -> str:
    """Return the login name; a user without one (a bare uid in a container) is called "someone"."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "someone"

"""This module drives the daemon on a pseudo-terminal: keys in, the screen's bytes out."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.flow.process import AGENTD, LIMIT_SECONDS, environment

CTRL_C, CTRL_D, CTRL_S, ENTER = "\x03", "\x04", "\x13", "\r"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]")


class Terminal:
    """A pseudo-terminal with the daemon at its other end."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        """Collect what appears, from now on."""
        self.process = process
        self.descriptor = descriptor
        self._seen = b""
        self._expected = 0
        self._tells_state = False
        self._is_stopped = False
        self._more = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    @property
    def screen(self) -> str:
        """Everything that appeared so far, without colours and cursor movements."""
        return ESCAPES.sub("", self._seen.decode("utf-8", "replace")).replace("\r", "")

    async def press(self, keys: str) -> None:
        """Type, no faster than the other end reads."""
        left = keys.encode()
        while left:
            left = left[await asyncio.to_thread(os.write, self.descriptor, left) :]

    async def stop(self) -> None:
        """Type Ctrl-S, and wait until nothing appears any more: the keys take effect on a thread of the kernel's."""
        fcntl.ioctl(self.descriptor, termios.TIOCPKT, struct.pack("i", 1))
        self._tells_state = True
        await self.press(CTRL_S)
        while not self._is_stopped:
            self._more.clear()
            await self._more.wait()

    async def shows(self, text: str) -> None:
        """Wait until the text appears, after what was waited for before."""
        try:
            while (found := self.screen.find(text, self._expected)) < 0:
                self._more.clear()
                await self._more.wait()
        except asyncio.CancelledError:
            raise AssertionError(f"{text!r} did not appear on this screen:\n{self.screen}") from None
        self._expected = found + len(text)

    def hang_up(self) -> None:
        """Close the window."""
        asyncio.get_running_loop().remove_reader(self.descriptor)
        os.close(self.descriptor)

    async def ended(self) -> int:
        """Wait for the end of the process, and return its exit code."""
        return await self.process.wait()

    def _read(self) -> None:
        try:
            block = os.read(self.descriptor, 65536)
        except OSError:
            block = b""
        if not block:
            self.hang_up()
        if self._tells_state and block:
            self._is_stopped = self._is_stopped or bool(block[0] & termios.TIOCPKT_STOP)
            block = block[1:]
        self._seen += block
        self._more.set()


@asynccontextmanager
async def terminal(config: Path, *words: str, extra: Mapping[str, str] | None = None) -> AsyncIterator[Terminal]:
    """Start a chat, or another command, on a terminal of its own; kill it at the end if it still runs."""
    ours, theirs = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        AGENTD,
        *("--config", str(config), *(words or ("chat",))),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR)),
        env=environment({"TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **(extra or {})}),
    )
    os.close(theirs)
    screen = Terminal(ours, process)
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            yield screen
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        if asyncio.get_running_loop().remove_reader(ours):
            os.close(ours)

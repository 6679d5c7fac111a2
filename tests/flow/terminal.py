"""The daemon on a terminal, as a person would drive it: keys in, the screen's bytes out."""

from __future__ import annotations

import asyncio
import os
import pty
import re
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

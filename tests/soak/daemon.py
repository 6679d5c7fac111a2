"""This module runs the daemon as a process, kills it again and again, and measures its memory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.flow.process import environment

__all__ = ["Daemon", "DaemonEnded", "Left", "Life"]

ROOT = Path(__file__).parents[2]
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
SAMPLE_SECONDS = 1.0


class DaemonEnded(Exception):
    """The daemon ended by itself while people were talking."""


@dataclass(slots=True)
class Life:
    """One process, from its start to its end."""

    began_at: float
    samples: list[tuple[float, int]] = field(default_factory=list)
    """When, and how many bytes were resident."""
    was_killed: bool = False

    @property
    def peak_bytes(self) -> int:
        """The most that was resident at any time."""
        return max((resident for _, resident in self.samples), default=0)


@dataclass(frozen=True, slots=True)
class Left:
    """What a kill left of a session file."""

    size: int
    digest: bytes


class Daemon:
    """All lives of one daemon on one workspace."""

    def __init__(self, folder: Path, slow_share: float, slow_seconds: float) -> None:
        """Read `config.toml` of the folder, and log to `log` there; such a share of the commits is slow."""
        self.config = folder / "config.toml"
        self.log = folder / "log"
        self.lives: list[Life] = []
        self.left: list[Mapping[str, Left]] = []
        """Of each kill: every session file by its name."""
        self._slow = (str(slow_share), str(slow_seconds))
        self._process: Process | None = None
        self._is_stopping = False

    @property
    def sessions(self) -> Path:
        """The folder of the session files."""
        return self.config.parent / "workspace" / "sessions"

    async def keep_running(self) -> int:
        """Start it, and again whenever it was killed; return its exit code once it was asked to end."""
        while True:
            life = Life(time.monotonic())
            self.lives.append(life)
            code = await self._run_once()
            if self._is_stopping:
                return code
            if code != -signal.SIGKILL:
                raise DaemonEnded(f"the daemon has ended with {code}; its log says why")
            life.was_killed = True
            self.left.append(await asyncio.to_thread(self._look))

    async def kill_every(self, seconds: float) -> None:
        """Kill it regularly, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            if self._process is not None and self._process.returncode is None:
                self._process.kill()

    def stop(self) -> None:
        """Ask it to end."""
        self._is_stopping = True
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def sample(self) -> None:
        """Look at its memory regularly, until cancelled."""
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            if self._process is not None and (resident := _resident_bytes(self._process.pid)):
                self.lives[-1].samples.append((time.monotonic(), resident))

    async def _run_once(self) -> int:
        words = ("-m", "tests.soak.target", *self._slow, "--config", str(self.config), "run")
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *words, stdin=DEVNULL, stdout=log, stderr=log, env=environment(), cwd=ROOT
            )
        try:
            return await self._process.wait()
        finally:
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    def _look(self) -> Mapping[str, Left]:
        found = {}
        for path in self.sessions.glob("*.jsonl"):
            content = path.read_bytes()
            found[path.name] = Left(len(content), hashlib.sha256(content).digest())
        return found


def _resident_bytes(pid: int) -> int:
    """Return how much of a process is resident; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * PAGE_BYTES
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return 0

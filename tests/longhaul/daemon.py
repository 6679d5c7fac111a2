"""This module runs the whole daemon in this process with simulated time, a log of the test's, and free flushes."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import structlog

from agentd.app import Edges, serve
from agentd.settings import Settings, load_settings
from agentd.transcript.disk import Disk
from agentd.transcript.file_disk import FLUSH_THREADS, FileDisk, System
from channels.base import Author, InboundMessage, Receipt
from tests.flow.doorstep import Platform, place
from tests.longhaul.model import SYSTEM_PROMPT, Clock, Model

__all__ = ["Daemon", "DaemonEnded", "Log", "listening_to", "open_daemon"]

ADA = Author("1", "Ada", "ada")

START_SECONDS = 30

_WHOSE: ContextVar[str] = ContextVar("whose", default="")


class DaemonEnded(Exception):
    """The daemon ended by itself."""


@dataclass(slots=True)
class Log:
    """What the daemons of a run have logged, each under its name."""

    changed: asyncio.Event
    """Set whenever something is said of a summary."""
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    """How often, by daemon and event."""
    wrongs: list[str] = field(default_factory=list)
    """What was logged as an error."""

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Take an event in, and print nothing."""
        name = str(event["event"])
        self.counts[_WHOSE.get(), name] += 1
        if name.startswith(("compaction", "summaries")):
            self.changed.set()
        if method in ("error", "critical", "exception"):
            fault = event.get("fault") or event.get("exc_info") or ""
            self.wrongs.append(f"{name} {fault!r}")
        raise structlog.DropEvent

    def waits(self, daemon: str) -> int:
        """Return how often a turn of that daemon has said that it waits for a summary."""
        return self.counts[daemon, "compaction_waited"]

    def begun(self, daemon: str) -> int:
        """Return how many summaries that daemon has begun, by its own word."""
        return self.counts[daemon, "compaction_started"]

    def is_summarising(self, daemon: str) -> bool:
        """Tell whether that daemon has begun with summaries, and is not done: the first digest of a run takes long."""
        return self.counts[daemon, "summaries_begun"] > self.counts[daemon, "summaries_ended"]


@contextmanager
def listening_to(log: Log) -> Iterator[None]:
    """Let everything that is logged in the body go there."""
    before = structlog.get_config()
    structlog.configure(processors=[log], wrapper_class=structlog.make_filtering_bound_logger("info"))
    try:
        yield
    finally:
        structlog.configure(**before)


class _Daily(Platform):
    """The platform, on which messages carry the simulated time."""

    def __init__(self, first_id: int) -> None:
        super().__init__()
        self._written = itertools.count(first_id)  # apart from the ids of what the daemon sends

    async def write(self, text: str, clock: Clock) -> Receipt:
        inbound = InboundMessage(place(ADA), ADA, f"ada-{next(self._written)}", clock.now, text)
        return await (await self.listening)(inbound)


class _Unflushed:
    """The calls of `os`, of which none waits for the disk: what a loss of power does is tested elsewhere."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def fsync(self, fd: int) -> None:
        """Do nothing."""


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon that runs, and where it keeps its things."""

    workspace: Path
    platform: _Daily
    clock: Clock
    name: str = ""

    @property
    def session(self) -> Path:
        """Return the file of the one conversation."""
        return self.workspace / "sessions" / "telegram~bot~1~~1.jsonl"

    async def post(self, text: str) -> Receipt:
        """Write a message, and return once it is on disk."""
        token = _WHOSE.set(self.name)  # what begins with this message logs under that name too
        try:
            return await self.platform.write(text, self.clock)
        finally:
            _WHOSE.reset(token)


@asynccontextmanager
async def open_daemon(
    folder: Path, model: Model, clock: Clock, *, context_tokens: int, first_id: int = 1, name: str = ""
) -> AsyncIterator[Daemon]:
    """Run a daemon in a folder until the end of the block; what it logs is logged under that name."""
    platform = _Daily(first_id)
    flushers = ThreadPoolExecutor(FLUSH_THREADS, "transcript-flush")
    edges = Edges(
        build_channels=lambda names, section, tools: {platform.name: platform},
        wrap_disk=lambda disk: _unflushed(flushers),
        clock=lambda: clock.now,
    )
    settings = load_settings(_write_config(folder, model, context_tokens), {})
    async with asyncio.TaskGroup() as tasks:
        token = _WHOSE.set(name)
        tasks.create_task(_serve(settings, platform, edges), name=f"daemon {name}")
        _WHOSE.reset(token)
        async with asyncio.timeout(START_SECONDS):
            await asyncio.shield(platform.listening)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)  # they end the run, not one daemon of it
        try:
            yield Daemon(settings.workspace, platform, clock, name)
        finally:
            platform.closed.set()
    flushers.shutdown()


async def _serve(settings: Settings, platform: _Daily, edges: Edges) -> None:
    """Serve until the platform closes; raise DaemonEnded where that ends before."""
    await serve(settings, (platform.name,), edges)
    if not platform.closed.is_set():
        raise DaemonEnded("the daemon has ended while somebody talked with it")


def _unflushed(flushers: ThreadPoolExecutor) -> Disk:
    return FileDisk(flushers, cast("System", _Unflushed()))


def _write_config(folder: Path, model: Model, context_tokens: int) -> Path:
    path = folder / "config.toml"
    path.write_text(
        f'workspace = "{folder / "workspace"}"\n'
        f'[agent]\nsystem_prompt = "{SYSTEM_PROMPT}"\nmax_context_tokens = {context_tokens}\n'
        '[channels_config]\nstream = "off"\n[channels_config.telegram]\ntoken = "1:x"\nallowed_users = ["*"]\n'
        "[gate]\nmessages_per_minute = 1000000\n"
        "[memory]\nenabled = false\n"  # what it recalls or asks is judged elsewhere
        f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\n',
        encoding="utf-8",
    )
    return path

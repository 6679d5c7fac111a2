"""This module runs the real store, router and actors between a fake platform and a fake model, without a process."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agentd.admission.settings import LimitsSettings
from agentd.admission.spending import Spending
from agentd.conversation.deadline import Slots
from agentd.conversation.remembrance import Remembrance
from agentd.conversation.router import Drain, Router, open_router
from agentd.conversation.settings import AgentSettings
from agentd.conversation.wiring import Wiring
from agentd.delivery.front import build_front
from agentd.transcript.disk import Disk
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.store import SessionStore, open_store, open_store_on
from agentd.transcript.uptime import Uptime
from channels.base import Address, Author, InboundDelete, InboundEdit, InboundMessage, Receipt
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.fakes.scribe import Scribe

ADDRESS = Address("fake", "bot", "dm")
ADA = Author("ada", "Ada")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Stage:
    """One run of the daemon; `ada` is the person who writes unless another is named."""

    def __init__(self, router: Router, channel: FakeChannel, provider: FakeProvider, store: SessionStore) -> None:
        """Hold the parts that a test looks at."""
        self.router = router
        self.channel = channel
        self.provider = provider
        self.store = store
        self.folder = store.folder
        self.numbers = itertools.count(1)

    async def post(
        self,
        text: str,
        *,
        message_id: str | None = None,
        sender: str = "ada",
        chat: str = "dm",
        age: timedelta = timedelta(0),
    ) -> Receipt:
        """Hand over one message as the platform would, and return once it is accepted."""
        inbound = InboundMessage(
            Address("fake", "bot", chat),
            Author(sender, sender.title()),
            message_id or f"{sender}-{text[:20]}-{next(self.numbers)}",
            START - age,
            text,
        )
        return await self.router.accept(inbound)

    async def edit(self, message_id: str, text: str, *, later: timedelta = timedelta(seconds=1)) -> None:
        """Change the text of a message of ada's, as the platform would tell it."""
        await self.router.accept(InboundEdit(ADDRESS, ADA, message_id, START + later, text))

    async def delete(self, message_id: str) -> None:
        """Take back a message of ada's."""
        await self.router.accept(InboundDelete(ADDRESS, ADA, message_id, START))

    async def say(self, text: str, **details: Any) -> None:
        """Post a message and wait for its end."""
        async with asyncio.timeout(10):
            receipt = await self.post(text, **details)
            await receipt.settled()

    def records(self, *, sender: str = "ada", chat: str = "dm") -> list[dict[str, Any]]:
        """Return the session's records as a stranger would read them."""
        path = self.folder / f"fake~bot~{chat}~~{sender}.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]

    def kinds(self) -> list[str]:
        """Return the types of the session's records, messages by their role."""
        return [record.get("role", record["type"]) for record in self.records()]

    def prompt(self, number: int = -1) -> list[tuple[str, str]]:
        """Return what the model was asked, as (role, text)."""
        return [(message.role, message.content) for message in self.provider.requests[number].messages]


async def until(holds: Callable[[], object]) -> None:
    """Let the loop go on until a condition holds that nothing announces, for 10 s at most."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what leaves memory cannot set an event
            await asyncio.sleep(0.001)


@dataclass
class Run:
    """What one run of the daemon is made of; the folder is what it has in common with the others."""

    workspace: Path
    channel: FakeChannel = field(default_factory=FakeChannel)
    provider: FakeProvider = field(default_factory=FakeProvider)
    settings: AgentSettings = field(default_factory=AgentSettings)
    disk: Disk | None = None
    drain_seconds: float = 5
    scope: str = "sender"
    memory: Remembrance | None = None
    uptime: Uptime | None = None
    """None: of the loop."""
    slots: Slots = field(default_factory=lambda: asyncio.Semaphore(16))
    recovers_first: bool = True
    """False: people write beside the recovery, as they may after 10 s of it."""
    clock_skew: timedelta = timedelta(0)


@asynccontextmanager
async def daemon(
    workspace: Path,
    *,
    channel: FakeChannel | None = None,
    provider: FakeProvider | None = None,
    settings: AgentSettings | None = None,
    disk: Disk | None = None,
    drain_seconds: float = 5,
) -> AsyncIterator[Stage]:
    """Start a run that remembers nothing beyond its conversations, and shut it down."""
    channel, provider, settings = channel or FakeChannel(), provider or FakeProvider(), settings or AgentSettings()
    async with rehearsed(Run(workspace, channel, provider, settings, disk, drain_seconds)) as stage:
        yield stage


@asynccontextmanager
async def rehearsed(run: Run) -> AsyncIterator[Stage]:
    """Start, recover what an earlier run in this folder left, and shut down in order at the end."""
    channel, provider, disk, folder = run.channel, run.provider, run.disk, run.workspace / "sessions"
    ids = itertools.count(1)
    spending = Spending(LimitsSettings(), {}, lambda: START) if provider.spending is None else provider.spending
    loop = asyncio.get_running_loop()
    opened = open_store_on(disk, folder, lambda: START) if disk else open_store(folder, lambda: START)
    async with opened as store:
        wiring = Wiring(
            settings=run.settings,
            store=store,
            enclosures=Enclosures(folder),
            provider=provider,
            background=provider.background or Scribe(),
            front=build_front({channel.name: channel}, channel.aliases, loop.time),
            max_output_tokens=1024,
            temperature=0.7,
            streams=True,
            stale_after_minutes=30,
            slots=run.slots,
            background_slots=asyncio.Semaphore(4),
            calibration=provider.calibration,
            spending=spending,
            count_compaction=lambda outcome: None,
            clock=lambda: START + run.clock_skew,
            monotonic=loop.time,
            uptime=run.uptime or Uptime("test", loop.time),
            new_id=lambda: f"t{next(ids)}",
            summary_times=provider.summary_times,
            memory=run.memory,
        )
        drain = Drain(run.drain_seconds, loop.create_future())
        async with open_router(wiring, run.scope, drain) as router, asyncio.TaskGroup() as tasks:
            recovering = tasks.create_task(router.recover())
            if run.recovers_first:
                async with asyncio.timeout(10):
                    await recovering
            yield Stage(router, channel, provider, store)

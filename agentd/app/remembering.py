"""Opens memory and the task queue that learns into it, for the daemon and for a separate worker process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from agentd.conversation.remembrance import Remembrance
from agentd.errors import AgentdError, ConfigError, StorageError
from agentd.providers.base import Provider
from agentd.providers.precedence import Precedence
from agentd.providers.registry import open_embedder
from agentd.settings import Settings
from agentd.tasks.asking import Allowance, Asker
from agentd.tasks.embedding import EMBED, build_embedding_job
from agentd.tasks.exchanges import CONSOLIDATE
from agentd.tasks.late import has_tasks, open_late
from agentd.tasks.opening import Surroundings, locate, open_tasks
from agentd.tasks.queue import Gauges, Job, Leaving, Order, TaskQueue
from agentd.transcript.clock import Clock
from memory.errors import EmbeddingsMissing, MemoryFault, MemoryTooNew, MemoryUnusable
from memory.opening import open_memory
from memory.ports import Embedder, MemoryStore

if TYPE_CHECKING:
    from agentd.tasks.timing import QueueTiming

__all__ = ["Background", "Remembering", "open_remembering"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Background:
    """What background tasks use of the process that they run in."""

    provider: Provider
    slots: asyncio.Semaphore
    precedence: Precedence
    allowance: Allowance
    gauges: Gauges
    clock: Clock
    leaving: Leaving
    senders_of: Callable[[str], frozenset[str]]
    timing: QueueTiming | None = None
    """How often the queue polls, and how long it waits; None: the usual."""
    since: str = ""
    """When memory was switched on, as a record's time stamp."""


@dataclass(frozen=True, slots=True)
class Remembering:
    """Memory and queue; if memory is off, nothing is learnt, and the queue can only be looked at."""

    memory: Remembrance | None
    queue: TaskQueue
    is_lacking: bool = False
    """Whether memory is on but unavailable: recovery then marks nothing as done, so that turns are learnt later."""
    open_kept: Callable[[], AbstractAsyncContextManager[MemoryStore]] | None = None
    """If memory is off but was on once: opens what it kept, for those who ask for it or erase it."""


@asynccontextmanager
async def open_remembering(settings: Settings, around: Background) -> AsyncIterator[Remembering]:
    """Open memory and the queue. Raises ConfigError and StorageError."""
    location = locate(settings.storage.url, settings.workspace)
    surroundings = Surroundings(around.clock, around.leaving, around.gauges, around.timing)
    async with _open_embedder(settings) as embedder, _open_store(settings, around.clock, embedder) as store:

        def open_queue(queue: TaskQueue) -> AbstractAsyncContextManager[TaskQueue]:
            jobs = _build_jobs(store, embedder, around, queue) if store else {}
            return open_tasks(location, settings.tasks, jobs, surroundings)

        has_work = not isinstance(location, Path) or has_tasks(location)
        async with open_late(open_queue, at_once=store is not None and has_work) as queue:
            memory = None
            if store is not None:
                embed = partial(_ask_for_vectors, store, embedder, queue)
                await _revive(EMBED, queue if embedder else None)
                await embed()  # for what was learnt while vectors were off
                memory = Remembrance(store, queue, around.senders_of, settings.memory, around.since, embed)
            lacks = settings.memory.enabled and store is None
            yield Remembering(memory, queue, is_lacking=lacks, open_kept=_opening_kept(settings, around.clock))


def _opening_kept(settings: Settings, clock: Clock) -> Callable[[], AbstractAsyncContextManager[MemoryStore]] | None:
    url, path = settings.storage.url, settings.workspace / "memory.db"
    if settings.memory.enabled or not (url.get_secret_value() or path.exists()):
        return None
    return partial(open_memory, url if url.get_secret_value() else path, clock)


async def _revive(task: str, queue: TaskQueue | None) -> None:
    """Retry the dead tasks of a kind at a start: what they failed at may have been fixed."""
    with suppress(AgentdError):
        for entry in await queue.entries(dead=True) if queue else ():
            if entry.task == task and queue is not None:
                await queue.retry(entry.id)


async def _ask_for_vectors(store: MemoryStore, embedder: Embedder | None, queue: TaskQueue) -> None:
    """Queue the making of missing vectors, if vectors are on; if the queue refuses, a later call does it."""
    if embedder is not None:
        with suppress(StorageError, MemoryFault):
            if await store.without_vector(embedder.name, 1):
                await queue.defer(Order(EMBED, once=EMBED))


def _build_jobs(
    store: MemoryStore, embedder: Embedder | None, around: Background, queue: TaskQueue
) -> Mapping[str, Job]:
    from agentd.tasks.consolidating import build_consolidation  # imported late, like the engine: see load_engine

    asker = Asker(around.provider, around.slots, around.precedence, around.allowance)

    embed = partial(_ask_for_vectors, store, embedder, queue)
    jobs = {CONSOLIDATE: build_consolidation(store, asker.on_behalf_of, embed)}
    return jobs if embedder is None else {**jobs, EMBED: build_embedding_job(store, embedder)}


@asynccontextmanager
async def _open_embedder(settings: Settings) -> AsyncIterator[Embedder | None]:
    if not settings.memory.enabled:
        yield None
        return
    try:
        async with open_embedder(settings.memory, settings.provider) as embedder:
            yield embedder
    except EmbeddingsMissing as fault:
        raise ConfigError(str(fault)) from fault


@asynccontextmanager
async def _open_store(settings: Settings, clock: Clock, embedder: Embedder | None) -> AsyncIterator[MemoryStore | None]:
    """Open memory; yield None if it is off, or its file is damaged, which is logged: people are answered all
    the same.
    """
    if not settings.memory.enabled:
        yield None
        return
    url = settings.storage.url
    location = url if url.get_secret_value() else settings.workspace / "memory.db"
    async with AsyncExitStack() as opened:
        store: MemoryStore | None = None
        try:
            store = await opened.enter_async_context(open_memory(location, clock, embedder))
        except MemoryTooNew as fault:
            raise ConfigError(str(fault)) from fault
        except MemoryUnusable as fault:
            if not isinstance(location, Path):
                raise StorageError(str(fault)) from fault
            log.error("memory_not_usable", fault=str(fault), effect="nothing is remembered or recalled")
        yield store

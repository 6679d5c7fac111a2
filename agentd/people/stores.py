"""Where something of a person may be kept, with a daemon that has it all open and without one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from agentd.errors import AgentdError
from agentd.state.state import State
from agentd.tasks.queue import TaskQueue
from agentd.transcript.key import SessionKey
from memory.ports import MemoryRights

__all__ = ["ClosedSessions", "Ids", "OpenSessions", "Sessions", "Stores", "ids_of", "parse_person"]

T = TypeVar("T")

Ids = Mapping[str, frozenset[str]]
"""A person's ids, by channel."""


class Sessions(Protocol):
    """The session files, and how they are changed."""

    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Let what these senders write wait outside until the end of the block."""
        ...

    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Let a session do nothing until the end of the block."""
        ...

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run a job that changes these files."""
        ...

    def forget_found(self, names: Collection[str]) -> None:
        """Keep no mark for these files."""
        ...


class _Router(Protocol):
    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]: ...
    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]: ...


class _Store(Protocol):
    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T: ...
    def forget_found(self, names: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class OpenSessions:
    """The sessions of a daemon that runs."""

    router: _Router
    store: _Store

    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Let these senders wait."""
        return self.router.unheard(senders)

    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Let a session rest."""
        return self.router.resting(key, ids)

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run the job on the writer's thread."""
        return await self.store.exclusive(paths, job)

    def forget_found(self, names: Collection[str]) -> None:
        """Keep no mark for these files."""
        self.store.forget_found(names)


class ClosedSessions:
    """The sessions where no daemon runs: who asks holds the workspace."""

    @asynccontextmanager
    async def unheard(self, senders: Collection[str]) -> AsyncIterator[None]:
        """Wait for nothing: nobody is heard."""
        del senders
        yield

    @asynccontextmanager
    async def resting(self, key: SessionKey, ids: Collection[str]) -> AsyncIterator[None]:
        """Wait for nothing: everything rests."""
        del key, ids
        yield

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run the job."""
        del paths
        return job()

    def forget_found(self, names: Collection[str]) -> None:
        """Do nothing: nothing was looked for."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that may hold something of a person."""

    workspace: Path
    sessions: Sessions
    state: State
    queue: TaskQueue | None = None
    """None where no task was ever kept."""
    memory: MemoryRights | None = None
    """None where nothing was ever remembered."""
    forget_spending: Callable[[Collection[str]], None] = lambda people: None
    """Takes people out of what is counted in the process."""

    @property
    def folder(self) -> Path:
        """Return where the session files are."""
        return self.workspace / "sessions"


def parse_person(text: str) -> str:
    """Return a person's id, CHANNEL:SENDER. Raises AgentdError where it is none."""
    channel, separator, sender = text.partition(":")
    if not (channel and separator and sender):
        raise AgentdError("a person is written CHANNEL:SENDER, for example telegram:42; agentd people list shows them")
    return text


def ids_of(senders: Iterable[str]) -> Ids:
    """Return a person's ids by channel."""
    found: dict[str, set[str]] = {}
    for sender in senders:
        channel, _, name = sender.partition(":")
        found.setdefault(channel, set()).add(name)
    return {channel: frozenset(names) for channel, names in found.items()}

"""Bundles all stores that may hold something of a person, for a running daemon or for the command line alone."""

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
    """The session files, and how they may be changed."""

    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Hold back what these senders write until the end of the block."""
        ...

    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Stop a session's actor until the end of the block."""
        ...

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run a job that changes these files."""
        ...

    def forget_found(self, names: Collection[str]) -> None:
        """Forget that these files were found settled."""
        ...


class _Router(Protocol):
    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]: ...
    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]: ...


class _Store(Protocol):
    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T: ...
    def forget_found(self, names: Collection[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class OpenSessions:
    """The sessions of a running daemon."""

    router: _Router
    store: _Store

    def unheard(self, senders: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Hold these senders' messages back."""
        return self.router.unheard(senders)

    def resting(self, key: SessionKey, ids: Collection[str]) -> AbstractAsyncContextManager[None]:
        """Stop the session's actor."""
        return self.router.resting(key, ids)

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run the job on the writer's thread."""
        return await self.store.exclusive(paths, job)

    def forget_found(self, names: Collection[str]) -> None:
        """Forget that these files were found settled."""
        self.store.forget_found(names)


class ClosedSessions:
    """The sessions when no daemon runs: the caller holds the workspace's lock."""

    @asynccontextmanager
    async def unheard(self, senders: Collection[str]) -> AsyncIterator[None]:
        """Do nothing: no messages come in."""
        del senders
        yield

    @asynccontextmanager
    async def resting(self, key: SessionKey, ids: Collection[str]) -> AsyncIterator[None]:
        """Do nothing: no actor runs."""
        del key, ids
        yield

    async def exclusive(self, paths: Collection[Path], job: Callable[[], T]) -> T:
        """Run the job."""
        del paths
        return job()

    def forget_found(self, names: Collection[str]) -> None:
        """Do nothing: no recovery has run."""


@dataclass(frozen=True, slots=True)
class Stores:
    """Everything that may hold something of a person."""

    workspace: Path
    sessions: Sessions
    state: State
    queue: TaskQueue | None = None
    """None if no task was ever kept."""
    memory: MemoryRights | None = None
    """None if nothing was ever remembered."""
    forget_spending: Callable[[Collection[str]], None] = lambda people: None
    """Removes people from the token counts in the process's memory."""

    @property
    def folder(self) -> Path:
        """Return where the session files are."""
        return self.workspace / "sessions"


def parse_person(text: str) -> str:
    """Return a person's id, CHANNEL:SENDER. Raises AgentdError if the text is none."""
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

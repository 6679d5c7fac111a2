"""This module plants bugs on purpose, to show that the simulation finds them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import msgspec

from agentd.conversation.router import Router
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Compaction, Record
from agentd.transcript.store import Session, SessionStore
from channels.base import Accept, Inbound
from channels.errors import NotAccepted
from tests.simulation.disk import File
from tests.simulation.life import Life, Parts
from tests.simulation.system import SimulatedSystem

__all__ = ["PLANTS"]


class _Promise:
    """A receipt for nothing."""

    async def settled(self) -> None:
        """Return at once."""


class AckBeforeAppend(Parts):
    """The daemon confirms a message, and writes it afterwards."""

    def accept(self, router: Router, tasks: asyncio.TaskGroup) -> Accept:
        """Write later."""

        async def accept(inbound: Inbound) -> _Promise:
            tasks.create_task(_accept(router, inbound), name="accepting")
            return _Promise()

        return accept


async def _accept(router: Router, inbound: Inbound) -> None:
    with suppress(NotAccepted):
        await router.accept(inbound)


class _NoFlush(SimulatedSystem):
    def flush_file(self, file: File) -> None:
        """Leave the bytes where they are."""


class _NoFolderFlush(SimulatedSystem):
    def flush_folder(self) -> None:
        """Leave the names where they are."""


class AppendWithoutFlush(Parts):
    """Files are written, and never flushed."""

    def system(self, life: Life) -> SimulatedSystem:
        """Flush nothing."""
        return _NoFlush(life.world.storage, life, life.world.spoiled.add)


class FolderNotFlushed(Parts):
    """The names of new files are never flushed."""

    def system(self, life: Life) -> SimulatedSystem:
        """Flush files alone."""
        return _NoFolderFlush(life.world.storage, life, life.world.spoiled.add)


class AnswerTwice(Parts):
    """A restart does not look at what was sent before."""

    def store(self, store: SessionStore) -> SessionStore:
        """Forget drafts."""
        return _forgetful(store, "drafts")


class AcceptTwice(Parts):
    """A restart does not recognise what was accepted before."""

    def store(self, store: SessionStore) -> SessionStore:
        """Forget ids."""
        return _forgetful(store, "seen")


def _forgetful(store: SessionStore, forgotten: str) -> SessionStore:
    """Let a store open sessions without a part of what their files say."""
    opened = store.open

    async def opens(key: SessionKey) -> Session:
        session = await opened(key)
        setattr(session.view, forgotten, type(getattr(session.view, forgotten))())
        return session

    store.open = opens  # type: ignore[method-assign]
    return store


class CoverTooFar(Parts):
    """A summary stands for one turn more than it was made from: what was said there is hidden."""

    def store(self, store: SessionStore) -> SessionStore:
        """Record a wider range, with the digest that belongs to it."""
        append = store.append

        async def appends(session: Session, *records: Record) -> list[Record]:
            wider = [
                await _widened(store, session, record) if isinstance(record, Compaction) else record
                for record in records
            ]
            return await append(session, *wider)

        store.append = appends  # type: ignore[method-assign]
        return store


async def _widened(store: SessionStore, session: Session, record: Compaction) -> Compaction:
    lasts = (turn.messages[-1].seq for turn in session.view.live_turns if turn.end is not None)
    to = min((seq for seq in lasts if seq > record.covers[1]), default=record.covers[1])
    start, digest = await store.cover(session, to)
    return msgspec.structs.replace(record, covers=(start, to), digest=digest)


PLANTS: dict[str, type[Parts]] = {
    "ack-before-append": AckBeforeAppend,
    "append-without-flush": AppendWithoutFlush,
    "folder-not-flushed": FolderNotFlushed,
    "answer-twice": AnswerTwice,
    "accept-twice": AcceptTwice,
    "cover-too-far": CoverTooFar,
}

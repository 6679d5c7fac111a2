"""Routes each incoming message to the one actor of its session, and keeps all actors: starts, recovery, shutdown."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import starmap

import msgspec
import structlog

from agentd.admission.spending import person_id
from agentd.conversation.actor import SessionActor
from agentd.conversation.inbound_records import session_key
from agentd.conversation.learning import Learner
from agentd.conversation.wiring import Wiring
from agentd.errors import StorageError
from agentd.transcript.key import SessionKey
from channels.base import Address, Inbound, InboundMove, KnownPlace, Receipt
from channels.errors import NotAccepted

__all__ = ["Drain", "Router", "open_router"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Drain:
    """How long running turns may take to end at a shutdown; `insisted` (a second signal) cuts that short."""

    seconds: float
    insisted: asyncio.Future[None]


class _Taken:
    """The receipt for a chat's move, which nobody needs to wait for."""

    async def settled(self) -> None:
        """Return at once."""


class Router:
    """Keeps at most one actor per session; an idle actor leaves memory, its session's file stays."""

    def __init__(self, wiring: Wiring, scope: str, tasks: asyncio.TaskGroup) -> None:
        """Start actors on `tasks`; `scope` is `sender` or `chat`, whose conversation a session is."""
        self._wiring = wiring
        self._scope = scope
        self._tasks = tasks
        self._actors: dict[SessionKey, SessionActor] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._keeping: dict[SessionKey, asyncio.Task[None]] = {}
        self._resting: set[SessionKey] = set()
        self._unheard: dict[str, asyncio.Event] = {}
        """Senders whose new messages wait while their stored ones are erased."""
        self._learning = asyncio.Lock()
        """Held while an idle session's past is queued for memory, and while a session rests (its past may be erased
        then).
        """

    def count(self) -> tuple[int, int]:
        """Return how many sessions are in memory, and how many messages wait in them."""
        return len(self._actors), sum(actor.waiting for actor in self._actors.values())

    def doing(self, name: str) -> str:
        """Return what the actor of the session with this file name is doing, in a word; "" if it is not in memory."""
        return next((actor.doing for key, actor in self._actors.items() if key.file_name == name), "")

    def count_busy(self) -> int:
        """Return how many sessions in memory have a waiting message."""
        return sum(actor.waiting > 0 for actor in self._actors.values())

    def count_running(self) -> int:
        """Return how many actor tasks run, idle ones included."""
        return len(self._running)

    async def accept(self, inbound: Inbound) -> Receipt:
        """Put an incoming message on disk in its session. Raises channels.errors.NotAccepted if that failed."""
        aliases, at = self._wiring.front.aliases, inbound.address
        if isinstance(inbound, InboundMove):
            return await self._move(inbound)
        while (heard := self._unheard.get(person_id(at.channel, inbound.author.id))) is not None:
            await heard.wait()
        key = session_key(inbound, self._scope)
        key = msgspec.structs.replace(key, chat=aliases.canonical(at.channel, at.account, at.chat))
        return await self._actor(key).accept(inbound)

    async def _move(self, move: InboundMove) -> Receipt:
        """Record an alias, so that a moved chat's conversations continue under its new id."""
        at = move.address
        try:
            is_known = await self._wiring.front.aliases.add_alias(at.channel, at.account, at.chat, move.to_chat)
        except StorageError as fault:
            raise NotAccepted(f"a chat's new id could not be kept: {fault}") from fault
        log.info("chat_moved", channel=at.channel, chat=at.chat, to=move.to_chat, is_known=is_known)
        return _Taken()

    async def places(self, channel: str) -> list[KnownPlace]:
        """Return the chats and threads known on one channel, most recently heard first.

        Raises channels.errors.NotAccepted if the sessions cannot be read.
        """
        aliases, newest = self._wiring.front.aliases, dict[Address, datetime]()
        try:
            heard = await self._wiring.store.heard(channel)
        except StorageError as fault:
            raise NotAccepted(f"the sessions cannot be looked through: {fault}") from fault
        for key, sent_at in heard:
            chat = aliases.current(key.channel, key.account, key.chat)
            place = Address(key.channel, key.account, chat, key.thread)
            newest[place] = max(sent_at, newest.get(place, sent_at))
        return sorted(starmap(KnownPlace, newest.items()), key=lambda place: place.last_sent_at, reverse=True)

    async def recover(self, progress: Callable[[str], None] = lambda _: None) -> list[SessionKey]:
        """Recover after a restart: finish every session with something pending, before new messages come in.

        Return the sessions that wait for the rest of an announced message: call `finish` for them once the channels
        run.
        """
        woken = [key for key in await self._wiring.store.unfinished() if key.channel in self._wiring.front.channels]
        if woken:
            log.info("recovery_started", sessions=len(woken))
            progress("Finishing what the last run left unanswered ...")
        return await self._finish_all(woken, is_heard=False)

    async def finish(self, keys: Sequence[SessionKey]) -> None:
        """Finish these sessions, while the channels run."""
        await self._finish_all(keys, is_heard=True)

    async def learn_missed(self) -> None:
        """Queue for memory what an earlier run answered but could not queue.

        Only settled sessions are looked at here; the others do this when their actor opens them.
        """
        memory = self._wiring.memory
        if memory is None:
            return
        async for key in self._wiring.store.found_settled(memory.since):
            try:
                session = await self._wiring.store.open(key)
                if session.set_aside is not None:
                    await self._actor(key).finished(is_heard=False)  # the person is told
                missed = await Learner(memory, self._wiring.store, session, self._learning).queue_all()
            except Exception:
                log.exception("learning_crashed", session=key.file_name)
                self._wiring.store.forget_found({f"{key.file_name}.jsonl"})  # the next start looks again
            else:
                if missed:
                    log.info("exchanges_missed", session=key.file_name, count=missed)

    def wake(self, key: SessionKey) -> None:
        """Start the session's actor, so that it looks at its file: something other than a message may have left it
        work.
        """
        if key.channel in self._wiring.front.channels:
            self._actor(key)

    @asynccontextmanager
    async def unheard(self, senders: Collection[str]) -> AsyncIterator[None]:
        """Hold back what these senders (CHANNEL:SENDER) write until the end of the block, and accept it then."""
        heard = asyncio.Event()
        self._unheard |= dict.fromkeys(senders, heard)
        try:
            yield
        finally:
            for sender in senders:
                self._unheard.pop(sender, None)
            heard.set()

    @asynccontextmanager
    async def resting(self, key: SessionKey, ids: Collection[str]) -> AsyncIterator[None]:
        """Stop a session's actor until the end of the block; new messages wait at its entrance.

        A turn of the people with these ids is cut; one of others may end first, for 30 s, and if cut, it is run again
        from the file, as after a crash. If the block is cancelled, the session rests until the next run. Raises
        channels.errors.NotAccepted if the session does not come to rest.
        """
        if key.channel not in self._wiring.front.channels:
            async with self._learning:
                yield
            return
        async with self._learning:
            # Not before the lock is held: an actor fetched earlier may have left memory, and another taken its place.
            actor = self._actors.get(key) or self._new_actor(key)
            try:
                async with actor.resting(ids):
                    self._resting.add(key)
                    task = self._keeping.get(key)
                    if task is not None:
                        task.cancel()
                        await asyncio.wait([task])
                        # An ending that it was about to record settles its messages only once it is on disk.
                        await self._wiring.store.exclusive((), lambda: None)
                    yield
            finally:
                self._resting.discard(key)
                # A shutdown cuts the block, and what the actor was recording may still be on its way to the disk: the
                # next run goes on from there.
                is_cut = isinstance(sys.exception(), asyncio.CancelledError)
                if not is_cut and (key not in self._keeping or self._keeping[key].done()):
                    self._start(actor, key)

    async def drain(self, drain: Drain) -> None:
        """Let running turns end, within the drain's time; what is cut after that stays pending on disk."""
        for actor in self._actors.values():
            actor.close()
        loop = asyncio.get_running_loop()
        until, left = loop.time() + drain.seconds, set(self._running)
        while left and not drain.insisted.done() and loop.time() < until:
            await asyncio.wait(
                {*left, drain.insisted}, timeout=until - loop.time(), return_when=asyncio.FIRST_COMPLETED
            )
            left &= self._running
        for task in left:
            log.warning("turn_parked", task=task.get_name())
            task.cancel()

    async def _finish_all(self, keys: Sequence[SessionKey], *, is_heard: bool) -> list[SessionKey]:
        """Return the sessions that are not finished."""
        async with asyncio.TaskGroup() as tasks:
            finishing = {
                key: tasks.create_task(self._finish(key, is_heard=is_heard), name=f"recovery {key.file_name}")
                for key in keys
            }
        return [key for key, task in finishing.items() if not task.result()]

    async def _finish(self, key: SessionKey, *, is_heard: bool) -> bool:
        try:
            return await self._actor(key).finished(is_heard=is_heard)
        except StorageError as fault:
            _log_unreadable(key, fault)
            return True

    def _actor(self, key: SessionKey) -> SessionActor:
        actor = self._actors.get(key)
        if actor is None:
            actor = self._new_actor(key)
            self._start(actor, key)
        return actor

    def _new_actor(self, key: SessionKey) -> SessionActor:
        actor = self._actors[key] = SessionActor(key, self._wiring)
        return actor

    def _start(self, actor: SessionActor, key: SessionKey) -> None:
        task = self._tasks.create_task(self._keep(actor, key), name=f"session {key.file_name}")
        self._keeping[key] = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _keep(self, actor: SessionActor, key: SessionKey) -> None:
        try:
            await actor.run()
        finally:
            # No await since the actor found nothing to do, so nobody can have given it a message in between.
            if key not in self._resting:
                del self._actors[key], self._keeping[key]


@asynccontextmanager
async def open_router(wiring: Wiring, scope: str, drain: Drain) -> AsyncIterator[Router]:
    """Open the router; leaving the block drains it (the shutdown of all sessions)."""
    async with asyncio.TaskGroup() as tasks:
        router = Router(wiring, scope, tasks)
        try:
            yield router
        finally:
            await router.drain(drain)


def _log_unreadable(key: SessionKey, fault: StorageError) -> None:
    """Log one session's fault, and let the others go on."""
    log.error("session_not_readable", session=key.file_name, fault=str(fault))

"""From a message to the one actor of its session; and the lifetime of all actors."""

from __future__ import annotations

import asyncio
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
    """How long running turns may take to end at a shutdown, and what cuts that short."""

    seconds: float
    insisted: asyncio.Future[None]


class _Taken:
    """The receipt of what nobody waits for."""

    async def settled(self) -> None:
        """Return."""


class Router:
    """Keeps at most one actor a session; an idle one leaves memory, its file stays."""

    def __init__(self, wiring: Wiring, scope: str, tasks: asyncio.TaskGroup) -> None:
        """Start actors on `tasks`; `scope` says whether a session is a sender's or a chat's."""
        self._wiring = wiring
        self._scope = scope
        self._tasks = tasks
        self._actors: dict[SessionKey, SessionActor] = {}
        self._running: set[asyncio.Task[None]] = set()
        self._keeping: dict[SessionKey, asyncio.Task[None]] = {}
        self._resting: set[SessionKey] = set()
        self._unheard: dict[str, asyncio.Event] = {}
        """Senders who wait until what was said before is gone."""
        self._learning = asyncio.Lock()
        """Held while a session that nobody talks in is learnt from, and while one rests: what it said may go."""

    def count(self) -> tuple[int, int]:
        """Return how many sessions are in memory, and how many messages wait in them."""
        return len(self._actors), sum(actor.waiting for actor in self._actors.values())

    def doing(self, name: str) -> str:
        """Return in a word what the session with this file name is at; "" where it is not in memory."""
        return next((actor.doing for key, actor in self._actors.items() if key.file_name == name), "")

    def count_busy(self) -> int:
        """Return in how many of the sessions in memory a message waits."""
        return sum(actor.waiting > 0 for actor in self._actors.values())

    def count_running(self) -> int:
        """Return how many sessions are at work, or would be if something came in."""
        return len(self._running)

    async def accept(self, inbound: Inbound) -> Receipt:
        """Put what came in on disk in its session. Raises channels.errors.NotAccepted where that failed."""
        aliases, at = self._wiring.front.aliases, inbound.address
        if isinstance(inbound, InboundMove):
            return await self._move(inbound)
        while (heard := self._unheard.get(person_id(at.channel, inbound.author.id))) is not None:
            await heard.wait()
        key = session_key(inbound, self._scope)
        key = msgspec.structs.replace(key, chat=aliases.canonical(at.channel, at.account, at.chat))
        return await self._actor(key).accept(inbound)

    async def _move(self, move: InboundMove) -> Receipt:
        """Let a chat's conversations go on under its new id, with what was said in them."""
        at = move.address
        try:
            is_known = await self._wiring.front.aliases.add_alias(at.channel, at.account, at.chat, move.to_chat)
        except StorageError as fault:
            raise NotAccepted(f"a chat's new id could not be kept: {fault}") from fault
        log.info("chat_moved", channel=at.channel, chat=at.chat, to=move.to_chat, is_known=is_known)
        return _Taken()

    async def places(self, channel: str) -> list[KnownPlace]:
        """Return where people are known from, on one channel, the place heard last first.

        Raises channels.errors.NotAccepted where that cannot be told.
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
        """Finish what an earlier run left: every session with something pending, before anything new comes in.

        Return those that wait for the rest of what they have the beginning of: `finish` them once that can come in.
        """
        woken = [key for key in await self._wiring.store.unfinished() if key.channel in self._wiring.front.channels]
        if woken:
            log.info("recovery_started", sessions=len(woken))
            progress("Finishing what the last run left unanswered ...")
        return await self._finish_all(woken, is_heard=False)

    async def finish(self, keys: Sequence[SessionKey]) -> None:
        """Finish these sessions, while channels are heard."""
        await self._finish_all(keys, is_heard=True)

    async def learn_missed(self) -> None:
        """Put into the queue of memory what an earlier run had answered and did not come to put there.

        Sessions that had work left look for themselves when they are opened.
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
        """Let a session look at its file: something other than a message may have left it work to do."""
        if key.channel in self._wiring.front.channels:
            self._actor(key)

    @asynccontextmanager
    async def unheard(self, senders: Collection[str]) -> AsyncIterator[None]:
        """Let what these senders (CHANNEL:SENDER) write wait outside until the end of the block, and then come in."""
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
        """Let a session do nothing until the end of the block; what comes in waits outside.

        A turn of the people with these ids is cut. One of others may end, for a time: what is cut then is made again
        from the file, as after a crash. Raises channels.errors.NotAccepted where the session does not come to rest.
        """
        if key.channel not in self._wiring.front.channels:
            async with self._learning:
                yield
            return
        async with self._learning:
            # Not before: an actor that is waited with may be forgotten, and another take its place.
            actor = self._actors.get(key) or self._new_actor(key)
            try:
                async with actor.resting(ids):
                    self._resting.add(key)
                    task = self._keeping.get(key)
                    if task is not None:
                        task.cancel()
                        await asyncio.wait([task])
                    yield
            finally:
                self._resting.discard(key)
                if key not in self._keeping or self._keeping[key].done():
                    self._start(actor, key)

    async def drain(self, drain: Drain) -> None:
        """Let running turns end, for a time; what is cut then stays pending on disk."""
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
        """Return those that are not finished."""
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
            # No await since the actor found nothing to do: nobody can have given it a message in between.
            if key not in self._resting:
                del self._actors[key], self._keeping[key]


@asynccontextmanager
async def open_router(wiring: Wiring, scope: str, drain: Drain) -> AsyncIterator[Router]:
    """Route messages; leaving lets running turns end."""
    async with asyncio.TaskGroup() as tasks:
        router = Router(wiring, scope, tasks)
        try:
            yield router
        finally:
            await router.drain(drain)


def _log_unreadable(key: SessionKey, fault: StorageError) -> None:
    """Keep the fault of one session's file from the others."""
    log.error("session_not_readable", session=key.file_name, fault=str(fault))

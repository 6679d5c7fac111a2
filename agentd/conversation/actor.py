"""The actor of one session: the single task that accepts its messages and decides what happens next.

It also recognises redeliveries: a message whose platform id the transcript already knows is not appended again, and
gets the receipt of the first. The transcript is the queue: a message is accepted once it is flushed to disk, and waits
there. Each commit sets the event `_bell`; the loop then does what the transcript shows as open. Commands are obeyed at
once, beside a running turn; turns run one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog
from structlog.contextvars import bound_contextvars

from agentd.conversation.commands import parse_command
from agentd.conversation.compacting import Compactor
from agentd.conversation.enclosing import take_files
from agentd.conversation.entrance import Entrance
from agentd.conversation.inbound_records import build_record
from agentd.conversation.keeping import keep, keep_change
from agentd.conversation.learning import Learning
from agentd.conversation.notices import NOTHING_TO_RETRY, aside_text
from agentd.conversation.obey import Scene, obey
from agentd.conversation.outbox import Outbox
from agentd.conversation.question import (
    RETRY,
    Question,
    announced_seconds,
    is_unfinished,
    next_question,
    settle_stale,
    settle_unread,
    stale_question,
    unread_files,
)
from agentd.conversation.quiet import REST_SECONDS, RESUMED_SECONDS, Quiet
from agentd.conversation.stall import Stall
from agentd.conversation.turn import Turn
from agentd.conversation.wiring import Wiring
from agentd.errors import StorageError
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Failure, UserMessage
from agentd.transcript.store import Session, SessionStore
from channels.base import FromPerson, InboundMessage
from channels.errors import NotAccepted, Unreachable

__all__ = ["SessionActor"]

log = structlog.get_logger()

REST_PATIENCE_SECONDS = 30.0
"""How long a running turn of somebody else may take to end when the session is to be put to rest."""


@dataclass(frozen=True, slots=True)
class _Receipt:
    """The receipt for a message on disk, which can be awaited until the message is settled.

    `seq` is None for an edit or deletion of a message that is not known.
    """

    actor: SessionActor
    seq: int | None

    async def settled(self) -> None:
        if self.seq is not None:
            await self.actor.settled(self.seq)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What a running actor works with, once its session is open."""

    session: Session
    outbox: Outbox
    compactor: Compactor
    learning: Learning
    tasks: asyncio.TaskGroup

    def look(self, reported_tokens: int = 0) -> None:
        """Start learning and summarising in the background, if either is due."""
        self.learning.look()
        self.compactor.look(reported_tokens)


def _opened(session: Session, wiring: Wiring, intake: asyncio.Lock, tasks: asyncio.TaskGroup) -> _Opened:
    compactor = Compactor(wiring, session, intake, tasks)
    return _Opened(session, Outbox(wiring, session), compactor, Learning(wiring, session, tasks), tasks)


class SessionActor:
    """Accepts a session's messages and drives each one to its end: answered, failed, or obeyed."""

    def __init__(self, key: SessionKey, wiring: Wiring) -> None:
        """Create the actor without reading the file: whoever needs the session first opens it."""
        self._key = key
        self._wiring = wiring
        self._session: Session | None = None
        self._opening = asyncio.Lock()
        self._turn: Turn | None = None
        self._stall = Stall()
        self._closing = False
        self._waiting: dict[int, asyncio.Event] = {}
        self._bell = asyncio.Event()
        self._entrance = Entrance(self._bell)
        self._quiet = Quiet(wiring.monotonic)

    async def accept(self, inbound: FromPerson) -> _Receipt:
        """Put what came in on disk, unless it is there already (a redelivery). Raises NotAccepted if that fails."""
        try:
            async with self._entrance.passed():
                session = await self._open()
                await self._wiring.store.read_ids(session)
                seq = session.view.knows(inbound.address.chat, inbound.message_id)
                if not isinstance(inbound, InboundMessage):
                    await keep_change(self._wiring.store, session, inbound, seq)
                elif seq is None:
                    trace = self._wiring.new_id()
                    with bound_contextvars(session=self._key.file_name, trace=trace):
                        seq = await self._append_inbound(session, inbound, trace)
        except StorageError as fault:
            raise NotAccepted(f"I could not take your message: {fault}.") from fault
        return _Receipt(self, seq)

    async def settled(self, seq: int) -> None:
        """Wait until a message or command is settled, or the actor is stalled (a full disk, say)."""
        session = await self._open()
        while not session.view.is_settled(seq) and not self._stall.holds:
            await self._waiting.setdefault(seq, asyncio.Event()).wait()

    async def finished(self, *, is_heard: bool) -> bool:
        """Wait until nothing is pending or undelivered, or the actor is stalled.

        If the last message announced more, which cannot come before channels run (`is_heard`), return False at once.
        """
        session = await self._open()
        if self._quiet.left_seconds > 0:
            if not is_heard:
                return False
            self._quiet.expect(REST_SECONDS)
            self._bell.set()  # wakes the loop, which sleeps for the earlier, longer wait
        for seq in session.view.unsettled:
            await self.settled(seq)
        return True

    @asynccontextmanager
    async def resting(self, ids: Collection[str]) -> AsyncIterator[None]:
        """Accept nothing in the block; a running turn of others than `ids` may end first, for 30 s. Raises NotAccepted
        if a message is being accepted for too long."""
        async with self._entrance.shut():
            if self._turn is not None and self._session is not None:
                await _let_end(self._turn, self._session, ids)
            yield

    @property
    def waiting(self) -> int:
        """Return how many messages are neither answered nor failed yet."""
        return len(self._session.view.pending) if self._session else 0

    @property
    def doing(self) -> str:
        """Return the actor's state: `answering`, `stalled` (a fault), `expecting` more parts, or `idle`."""
        if self._turn is not None or self._stall.holds:
            return "answering" if self._turn is not None else "stalled"
        return "expecting" if self._quiet.left_seconds > 0 else "idle"

    def close(self) -> None:
        """Begin no more turns; `run` returns as soon as the running one is done."""
        self._closing = True
        self._bell.set()

    async def run(self) -> None:
        """Do what the transcript shows as open, until nothing has happened for the idle time, or `close` was called."""
        session = await self._begin()
        if session is None:
            return
        async with asyncio.TaskGroup() as tasks:
            opened = _opened(session, self._wiring, self._entrance.lock, tasks)
            opened.look()
            while True:
                self._bell.clear()
                await self._step(opened)
                _release(self._waiting, session, all_of_them=self._stall.holds)
                if self._turn is None and self._closing:
                    opened.compactor.stop()
                    opened.learning.stop()
                    return
                if await self._slept(opened):
                    opened.learning.stop()
                    return

    async def _begin(self) -> Session | None:
        """Open the session; return None if that fails and nobody is handing in a message at the moment."""
        while True:
            self._bell.clear()
            try:
                return await self._open()
            except StorageError as fault:
                log.error("session_not_readable", session=self._key.file_name, fault=str(fault))
            if not self._entrance.is_used:
                return None
            await self._bell.wait()

    async def _open(self) -> Session:
        async with self._opening:
            if self._session is None:
                self._session = await self._wiring.store.open(self._key)
                self._session.changed = self._bell
                if is_unfinished(self._session.view):
                    self._quiet.expect(RESUMED_SECONDS)
                log.info("session_opened", session=self._key.file_name, turns=len(self._session.view.turns))
            return self._session

    async def _append_inbound(self, session: Session, inbound: InboundMessage, trace: str) -> int:
        log.info("message_received", message=inbound.message_id)
        channel = self._wiring.front.channels[self._key.channel]
        is_command = parse_command(inbound.text) is not None  # commands have no use for files
        attachments = () if is_command else await take_files(inbound, self._key, channel, self._wiring.enclosures)
        was_expected = self._quiet.left_seconds > 0
        now, limit = self._wiring.clock(), self._wiring.stale_after_minutes
        announced = 0.0 if is_command else announced_seconds(inbound, now, limit)
        if announced:
            self._quiet.expect(announced)  # before the commit, which rings the bell
        record = await keep(self._wiring.store, session, build_record(inbound, trace, attachments), self._stall.end)
        log.info("message_accepted", seq=record.seq)
        if isinstance(record, UserMessage):
            if not announced:
                self._quiet.end()
            if self._turn is not None and self._turn.takes(record.seq, was_expected=was_expected):
                self._turn.cut("joined")
        return record.seq

    async def _step(self, opened: _Opened) -> None:
        """Do once what can be done now: redeliver what was left unsaid, obey commands, begin the next turn."""
        if self._stall.holds:
            return
        session, outbox, compactor = opened.session, opened.outbox, opened.compactor
        try:
            await _note_aside(session, self._wiring.store)
            while not self._stall.holds:
                if self._turn is None:
                    await outbox.redeliver()
                waiting = (command for command in session.view.commands.values() if command.name != RETRY)
                command = next((one for one in waiting if not compactor.is_at_work_for(one)), None)
                if command is None:
                    break
                with bound_contextvars(session=self._key.file_name, trace=command.trace):
                    await obey(command, Scene(self._wiring, session, outbox, compactor, self._turn))
            # No await since the last check: commands older than a turn's messages are answered before it begins.
            if self._turn is None and not self._closing and not self._stall.holds:
                self._stall.forget()
                await self._begin_turn(opened)
        except (StorageError, Unreachable) as fault:
            await self._stall.begin(session, outbox, fault)

    async def _begin_turn(self, opened: _Opened) -> None:
        question = next_question(opened.session.view, self._wiring.settings.question_size)
        if question is None or self._quiet.left_seconds > 0:
            return
        with bound_contextvars(session=self._key.file_name, trace=question.trace):
            await self._take_up(question, opened)

    async def _take_up(self, question: Question, opened: _Opened) -> None:
        """Settle a question that needs no turn (a stale one), or begin its turn, whose tasks inherit the trace id."""
        session, outbox = opened.session, opened.outbox
        limit = self._wiring.stale_after_minutes
        stale = stale_question(session.view, question, self._wiring.clock(), limit)
        if stale is not None:
            await settle_stale(stale, limit, outbox)
        elif not question.messages:
            [retry] = question.answers
            await outbox.deliver(outbox.reply_to(retry), retry, NOTHING_TO_RETRY)
        elif why := unread_files(question):
            await settle_unread(question, why, outbox)
        else:
            self._turn = Turn(self._wiring, session, outbox, opened.compactor, question, self._quiet)
            attending = opened.tasks.create_task(self._turn.attend(), name=f"screen {self._key.file_name}")
            running = self._run_turn(self._turn, opened, attending)
            opened.tasks.create_task(running, name=f"turn {self._key.file_name}")

    async def _run_turn(self, turn: Turn, opened: _Opened, attending: asyncio.Task[None]) -> None:
        session, newest = opened.session, max(opened.session.view.pending, default=0)
        try:
            await turn.run()
        except (StorageError, Unreachable) as fault:
            await turn.give_up()
            # If its sender has written again since, the turn is made again at once, without asking for a message.
            if max(session.view.pending, default=0) <= newest or session.view.undelivered:
                await self._stall.begin(session, opened.outbox, fault)
            else:
                log.warning("turn_made_again", session=self._key.file_name, fault=str(fault))
        finally:
            attending.cancel()
            self._turn = None
            turn.ended.set()
            self._bell.set()
        opened.look(turn.reported_tokens)

    async def _slept(self, opened: _Opened) -> bool:
        """Wait for the bell. Return True if the idle time passed without it and nothing is under way."""
        retry_seconds = self._stall.retry_seconds
        idle_seconds = self._wiring.settings.idle_minutes * 60 if self._may_sleep(opened) else None
        wait_seconds = retry_seconds or self._quiet.left_seconds or idle_seconds
        try:
            async with asyncio.timeout(wait_seconds):
                await self._bell.wait()
        except TimeoutError:
            if retry_seconds:
                self._stall.end()
                return False
            return wait_seconds == idle_seconds and self._may_sleep(opened)
        return False

    def _may_sleep(self, opened: _Opened) -> bool:
        """Tell whether the actor can leave memory: a later message starts another, from the file."""
        is_at_work = self._turn is not None or opened.compactor.is_busy or opened.learning.is_busy
        return not is_at_work and not self._entrance.is_used and (opened.session.view.is_idle or self._stall.holds)


def _release(waiting: dict[int, asyncio.Event], session: Session, *, all_of_them: bool) -> None:
    for seq in [seq for seq in waiting if all_of_them or session.view.is_settled(seq)]:
        waiting.pop(seq).set()


async def _note_aside(session: Session, store: SessionStore) -> None:
    """Tell the session's people that its unreadable file was set aside."""
    if session.set_aside is not None:
        notice = aside_text(session.set_aside.name)
        await store.append(session, Failure(answers=(), reason="aside", told=True, notice=notice))
        session.set_aside = None


async def _let_end(turn: Turn, session: Session, ids: Collection[str]) -> None:
    """Wait for a running turn to end, for 30 s at most; not at all if it answers one of the people with these ids."""
    asked = next(iter(session.view.pending.values()), None)
    if asked is not None and asked.source is not None and asked.source.author.id in ids:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(REST_PATIENCE_SECONDS):
            await turn.ended.wait()

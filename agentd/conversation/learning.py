"""What a conversation gives memory to learn from: each answered turn once, in a task that nobody waits for.

What is to be learnt is told by the transcript alone: the answered turns behind the newest that memory has. So nothing
has to be on disk between an answer and its task, and a crash there costs nothing: the next look finds the turn.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby, islice

import structlog

from agentd.conversation.remembrance import Remembrance, person_of
from agentd.errors import StorageError
from agentd.tasks.exchanges import order_for
from agentd.transcript.clock import parse_time
from agentd.transcript.records import AssistantMessage, UserMessage
from agentd.transcript.store import Session
from agentd.transcript.view import Turn
from channels.backoff import Growing
from memory.echoes import without_echoes
from memory.errors import MemoryFault
from memory.marks import own_words
from memory.model import Exchange, Words
from memory.own import is_worth_learning

__all__ = ["Learner", "exchanges", "queue_missed"]

MOST_CHARACTERS = 4_000
"""Of a turn's text (the seed's figure); as many of its answer, of which the model sees what is left of the room."""

MOST_DUE = 1_000
"""So many are held while the queue cannot be had; what comes after them waits in the transcript."""

ECHO_TURNS = 10
"""What the assistant said in so many turns before, and is pasted back, is not learnt from."""

REST_SECONDS = 2.0
"""How long what takes turns out of the conversation waits for them to be in the queue."""

PAUSE = Growing(1.0, 60.0)
"""How long a queue, or a memory, that cannot be had is left alone; who says something new has it tried at once."""

_NOTHING = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Learner:
    """Brings one session's turns into the queue, one look at a time."""

    def __init__(self, memory: Remembrance | None, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Run looks on `tasks`; without a memory none."""
        self._memory = memory
        self._session = session
        self._tasks = tasks
        self._due: deque[Exchange] = deque(maxlen=MOST_DUE)
        self._gathered = _NOTHING
        """Up to which message all is due, or was."""
        self._is_new = True
        """Whether what memory has learnt already is not looked up yet."""
        self._looking: asyncio.Task[None] | None = None
        self._again = asyncio.Event()
        self._is_stopped = False

    @property
    def is_busy(self) -> bool:
        """Tell whether a look is under way."""
        return self._looking is not None

    def look(self) -> None:
        """Take in what was answered, and put it into the queue beside everything else."""
        self._again.set()
        is_something = bool(self._due) or _newest(self._session.view.live_turns) > self._gathered
        if self._memory is not None and is_something and not self.is_busy and not self._is_stopped:
            queueing = self._queue(self._memory)
            self._looking = self._tasks.create_task(queueing, name=f"learning {self._session.path.stem}")

    async def rest(self) -> None:
        """Wait until the turns so far are in the queue, for a limited time: before they leave the conversation."""
        self.look()
        if self._looking is not None:
            await asyncio.wait([self._looking], timeout=REST_SECONDS)

    def stop(self) -> None:
        """Wait for no queue any more: what is not in it is found by the session's next look, or the next run's."""
        self._is_stopped = True
        self._again.set()

    async def _queue(self, memory: Remembrance) -> None:
        tries = 0
        try:
            while not await self._queued(memory, tries):
                tries += 1
        except Exception:
            log.exception("learning_crashed", session=self._session.path.stem)
        finally:
            self._looking = None
            self._session.changed.set()  # the actor may rest now

    async def _queued(self, memory: Remembrance, tries: int) -> bool:
        """Queue all that is due, and return True; else False, after a pause or when there is something new."""
        self._again.clear()
        try:
            if self._is_new:
                await self._skip_known(memory)
            while self._gather(memory.settings.min_message_chars):
                while self._due:
                    await _queue_one(memory, self._due[0])
                    self._due.popleft()
        except (StorageError, MemoryFault) as fault:
            if self._is_stopped:
                return True
            _log_postponed(self._session, fault, tries)
            with suppress(TimeoutError):
                async with asyncio.timeout(PAUSE.after(tries)):
                    await self._again.wait()
            return self._is_stopped
        return True

    async def _skip_known(self, memory: Remembrance) -> None:
        """Leave out what memory has already; where that cannot be told, it is due until it can."""
        try:
            found = await memory.store.watermark(self._session.key.file_name, self._session.view.began)
        except MemoryFault:
            self._gather(memory.settings.min_message_chars)  # which may leave the conversation meanwhile
            raise
        known = _NOTHING if found is None else found
        while self._due and self._due[0].last <= known:
            self._due.popleft()
        self._gathered, self._is_new = max(self._gathered, known), False

    def _gather(self, min_chars: int) -> bool:
        """Take in what was answered since, as far as there is room; return whether something is due."""
        room, newest = MOST_DUE - len(self._due), _newest(self._session.view.live_turns)
        found = list(islice(exchanges(self._session, self._gathered, min_chars), room))
        self._due.extend(found)
        self._gathered = max(self._gathered, found[-1].last if len(found) == room and found else newest)
        return bool(self._due)


async def queue_missed(memory: Remembrance, session: Session) -> int:
    """Put into the queue what was answered since memory learnt last; return how many exchanges that are.

    A queue, or a memory, that cannot be had is waited for, for as long as it takes.
    """
    tries = 0
    while True:
        try:
            return await _queue_gap(memory, session)
        except (StorageError, MemoryFault) as fault:
            _log_postponed(session, fault, tries)
            await asyncio.sleep(PAUSE.after(tries))
            tries += 1


def _log_postponed(session: Session, fault: Exception, tries: int) -> None:
    again = PAUSE.after(tries)
    log.warning("learning_postponed", session=session.path.stem, fault=str(fault), again_after_seconds=again)


async def _queue_gap(memory: Remembrance, session: Session) -> int:
    known = await memory.store.watermark(session.key.file_name, session.view.began)
    due = list(exchanges(session, _NOTHING if known is None else known, memory.settings.min_message_chars))
    for exchange in due:
        await _queue_one(memory, exchange)
    return len(due)


async def _queue_one(memory: Remembrance, exchange: Exchange) -> None:
    if await memory.queue.defer(order_for(exchange)):
        log.info(
            "exchange_queued",
            session=exchange.session,
            first=exchange.first,
            last=exchange.last,
            trace=exchange.trace,
        )


def exchanges(session: Session, after: int, min_chars: int) -> Iterator[Exchange]:
    """Yield what is worth learning of the answered turns behind a message, the oldest first; each of one person."""
    turns = session.view.live_turns
    for place, turn in enumerate(turns):
        if not isinstance(turn.end, AssistantMessage):
            continue  # it may be answered yet, by /retry
        messages = [message for message in turn.messages if message.source is not None and message.seq > after]
        for _, of_one in groupby(messages, _author):
            exchange = _exchange(session, list(of_one), turns[max(place - ECHO_TURNS, 0) : place], turn.end)
            if is_worth_learning(exchange, min_chars):
                yield exchange


def _exchange(
    session: Session, messages: Sequence[UserMessage], before: Sequence[Turn], answer: AssistantMessage
) -> Exchange:
    source = messages[-1].source
    assert source is not None  # noqa: S101 - those without one were left out
    answers = [turn.end.content for turn in before if isinstance(turn.end, AssistantMessage)]
    same = _author(messages[-1])
    own = [own_words(message.content) for turn in before for message in turn.messages if _author(message) == same]
    return Exchange(
        session=session.key.file_name,
        began=session.view.began,
        first=messages[0].seq,
        last=messages[-1].seq,
        person=person_of(session.key, source),
        name=source.author.name,
        direct=source.direct is not False,  # where that is not on record it stays private
        said=tuple(_said(messages, answers, own)),
        answered=answer.content[:MOST_CHARACTERS],
        trace=messages[-1].trace,
    )


def _author(message: UserMessage) -> str | None:
    return message.source.author.id if message.source else None


def _said(messages: Sequence[UserMessage], answers: Sequence[str], own: Sequence[str]) -> Iterator[Words]:
    """Yield what a turn's messages say, no more than the model is shown of all of them."""
    left = MOST_CHARACTERS
    for message in messages:
        words = _words(message, answers, own)
        yield replace(words, text=words.text[:left])
        left = max(left - len(words.text), 0)


def _words(message: UserMessage, answers: Sequence[str], own: Sequence[str]) -> Words:
    """Return what its author said: without what is quoted or pasted, and not the files that came with it."""
    sent_at = parse_time(message.source.sent_at) if message.source else None
    text = without_echoes(own_words(message.content)[:MOST_CHARACTERS], answers, own)
    return Words(message.seq, sent_at or parse_time(message.ts) or _EPOCH, text)


def _newest(turns: Sequence[Turn]) -> int:
    """Return the last message that was answered; `_NOTHING` where none was."""
    answered = (turn.messages[-1].seq for turn in turns if isinstance(turn.end, AssistantMessage))
    return max(answered, default=_NOTHING)

"""What a conversation gives memory to learn from: each answered turn once, in a task that nobody waits for.

What is to be learnt is told by the transcript alone: the answered turns behind the newest that memory has. So nothing
has to be on disk between an answer and its task, and a crash there costs nothing: the next look finds the turn, also
where `/new` or a summary has taken it out of the prompt meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby

import structlog

from agentd.conversation.remembrance import Remembrance, author_id
from agentd.conversation.wiring import Wiring
from agentd.errors import StorageError
from agentd.tasks.exchanges import order_for
from agentd.transcript.clock import parse_time
from agentd.transcript.past import TURNS_BEFORE
from agentd.transcript.records import AssistantMessage, UserMessage
from agentd.transcript.store import Session, SessionStore
from agentd.transcript.view import DELETED_TEXT, Turn, live_from
from channels.backoff import Growing
from memory.echoes import without_echoes
from memory.errors import MemoryFault
from memory.marks import own_words
from memory.model import Exchange, Lesson, Words
from memory.own import is_worth_learning

__all__ = ["Learner", "Learning", "exchanges"]

MOST_CHARACTERS = 4_000
"""Of a turn's text, some 1,000 tokens; as many of its answer, of which the model sees what is left of the room."""

ECHO_TURNS = TURNS_BEFORE
"""What the assistant said in so many turns before, and is pasted back, is not learnt from."""

PAUSE = Growing(1.0, 60.0)
"""How long a queue, or a memory, that cannot be had is left alone; who says something new has it tried at once."""

_NOTHING = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Learner:
    """Brings one session's turns into the queue: those behind the newest that memory has, from the file if need be."""

    def __init__(
        self, memory: Remembrance, store: SessionStore, session: Session, turn: asyncio.Lock | None = None
    ) -> None:
        """Begin without looking; `turn` is held while what was said is on its way from the file to the queue."""
        self._memory = memory
        self._turn = turn or asyncio.Lock()
        self._store = store
        self._session = session
        self._queued: int | None = None
        """Up to which message all is in the queue, or was; None: memory was not asked yet."""
        self._began = session.view.began
        """Of which file that holds: where one is set aside, another begins with the first message."""
        self._again = asyncio.Event()
        self._is_stopped = False

    @property
    def is_due(self) -> bool:
        """Tell whether there may be something that is not in the queue."""
        view, queued = self._session.view, self._queued
        return (
            queued is None or self._began != view.began or queued < max(_newest(view.live_turns), live_from(view) - 1)
        )

    def hurry(self) -> None:
        """Try at once what is being waited for."""
        self._again.set()

    def stop(self) -> None:
        """Wait for no queue any more: what is not in it is found by the session's next look, or the next run's."""
        self._is_stopped = True
        self._again.set()

    async def queue_all(self) -> int:
        """Queue all that is due, for as long as that takes; return how many exchanges that were."""
        tries = count = 0
        while not self._is_stopped:
            self._again.clear()
            try:
                async with self._turn:
                    count += await self._queue_due()
            except (StorageError, MemoryFault) as fault:
                await self._pause(fault, tries)
                tries += 1
            else:
                if not self.is_due:
                    break
        return count

    async def _queue_due(self) -> int:
        """Queue what is due now; return how many exchanges that were. Raises StorageError and MemoryFault."""
        session, memory = self._session, self._memory
        if self._queued is None or self._began != session.view.began:
            self._began = session.view.began
            known = await memory.store.watermark(session.key.file_name, session.view.began)
            self._queued = _NOTHING if known is None else known
        view, after = session.view, self._queued
        newest = max(_newest(view.live_turns), live_from(view) - 1)
        if after < live_from(view) - 1:
            async with memory.rereading:
                turns = await self._store.past(session, after, memory.since)
                queued, are_known = await self._queue_turns(turns, after)
                if are_known:
                    await self._pass_by(turns, after, queued)
        else:
            queued, _ = await self._queue_turns(tuple(view.live_turns), after)  # a reset clears the view's own
        self._queued = max(self._queued, newest)
        return len(queued)

    async def _queue_turns(self, turns: Sequence[Turn], after: int) -> tuple[list[Exchange], bool]:
        """Queue what of these turns is worth learning; return that, and whether the queue had all of it already."""
        session, memory = self._session, self._memory
        queued, are_known = list[Exchange](), True
        for exchange in exchanges(session, turns, after, memory):
            if await memory.queue.defer(order_for(exchange)):
                are_known = False
                log.info(
                    "exchange_queued",
                    session=exchange.session,
                    first=exchange.first,
                    last=exchange.last,
                    trace=exchange.trace,
                )
            queued.append(exchange)
            self._queued = max(after if self._queued is None else self._queued, exchange.last)
        return queued, are_known

    async def _pass_by(self, turns: Sequence[Turn], after: int, queued: Sequence[Exchange]) -> None:
        """Let memory know up to where nothing is worth learning: else the file is read as far back at each waking.

        What is in the queue, or dead there, is learnt by itself: no message of such an exchange is marked.
        """
        session = self._session
        passed = [
            (message.seq, message.source)
            for turn in turns
            if isinstance(turn.end, AssistantMessage)
            for message in turn.messages
            if message.source is not None
            and message.seq > after
            and not any(exchange.first <= message.seq <= exchange.last for exchange in queued)
        ]
        if passed:
            seq, source = max(passed, key=lambda entry: entry[0])
            await self._memory.store.learn(
                Lesson(
                    Exchange(
                        session=session.key.file_name,
                        began=session.view.began,
                        first=seq,
                        last=seq,
                        person=author_id(session.key, source),
                        name=source.author.name,
                        direct=source.direct is not False,
                        said=(),
                    ),
                    None,
                )
            )

    async def _pause(self, fault: Exception, tries: int) -> None:
        if self._is_stopped:
            return
        seconds = PAUSE.after(tries)
        log.warning(
            "learning_postponed", session=self._session.path.stem, fault=str(fault), again_after_seconds=seconds
        )
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._again.wait()


class Learning:
    """One session's learner beside its turns; without a memory it does nothing."""

    def __init__(self, wiring: Wiring, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Run looks on `tasks`."""
        self._learner = Learner(wiring.memory, wiring.store, session) if wiring.memory else None
        self._session = session
        self._tasks = tasks
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether a look is under way."""
        return self._looking is not None

    def look(self) -> None:
        """Put what was answered into the queue, beside everything else."""
        if self._learner is None:
            return
        self._learner.hurry()
        if not self.is_busy and self._learner.is_due:
            queueing = self._queue(self._learner)
            self._looking = self._tasks.create_task(queueing, name=f"learning {self._session.path.stem}")

    def stop(self) -> None:
        """Let a look that waits end."""
        if self._learner is not None:
            self._learner.stop()

    async def _queue(self, learner: Learner) -> None:
        try:
            await learner.queue_all()
        except Exception:
            log.exception("learning_crashed", session=self._session.path.stem)
        finally:
            self._looking = None
            self._session.changed.set()  # the actor may rest now


def exchanges(session: Session, turns: Sequence[Turn], after: int, memory: Remembrance) -> Iterator[Exchange]:
    """Yield what is worth learning of the answered turns behind a message, the oldest first; each of one person."""
    for place, turn in enumerate(turns):
        if not isinstance(turn.end, AssistantMessage):
            continue  # it may be answered yet, by /retry
        messages = [message for message in turn.messages if message.seq > after and _is_said(message, memory.since)]
        for _, of_one in groupby(messages, _author):
            exchange = _exchange(session, list(of_one), turns[max(place - ECHO_TURNS, 0) : place], turn.end)
            if is_worth_learning(exchange, memory.settings.min_message_chars):
                yield exchange


def _is_said(message: UserMessage, since: str) -> bool:
    """Tell whether it has an author who meant it to be said, while memory was on."""
    return message.source is not None and message.content != DELETED_TEXT and message.ts >= since


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
        person=author_id(session.key, source),
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

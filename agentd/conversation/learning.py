"""Hands answered turns to memory: each becomes a background task in the queue, once.

What is due follows from the transcript alone: the answered turns after the last message that memory has (its
watermark). So nothing needs to be written between an answer and its task, and a crash in between costs nothing: the
next look finds the turn, even if `/new` or a summary has taken it out of the prompt meanwhile.
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
"""Longest text learnt from one turn's messages together (some 1,000 tokens), and, separately, from its answer.

The model sees as much of the answer as its prompt has room left for.
"""

ECHO_TURNS = TURNS_BEFORE
"""How many turns back to look for text of the assistant that a person pastes back: such echoes are not learnt."""

PAUSE = Growing(1.0, 60.0)
"""Backoff while the queue or memory cannot be reached; a new message of the session triggers a try at once."""

_NOTHING = -1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger()


class Learner:
    """Puts one session's answered turns after memory's watermark into the queue, from the file if need be."""

    def __init__(
        self, memory: Remembrance, store: SessionStore, session: Session, turn: asyncio.Lock | None = None
    ) -> None:
        """Read nothing yet; the lock `turn` is held while text is on its way from the file to the queue."""
        self._memory = memory
        self._turn = turn or asyncio.Lock()
        self._store = store
        self._session = session
        self._queued: int | None = None
        """The last message up to which everything was queued; None: memory was not asked for its watermark yet."""
        self._began = session.view.began
        """Which file `_queued` refers to: a file that replaces one set aside starts again at seq 0."""
        self._again = asyncio.Event()
        self._is_stopped = False

    @property
    def is_due(self) -> bool:
        """Tell whether there may be turns that are not queued yet."""
        view, queued = self._session.view, self._queued
        return (
            queued is None or self._began != view.began or queued < max(_newest(view.live_turns), live_from(view) - 1)
        )

    def hurry(self) -> None:
        """End the pause between two attempts."""
        self._again.set()

    def stop(self) -> None:
        """Stop retrying: what is not queued is found by the session's next look, or the next run's."""
        self._is_stopped = True
        self._again.set()

    async def queue_all(self) -> int:
        """Queue everything that is due, however long that takes; return the number of exchanges."""
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
        """Queue what is due now; return the number of exchanges. Raises StorageError and MemoryFault."""
        session, memory = self._session, self._memory
        if self._queued is None or self._began != session.view.began:
            self._began = session.view.began
            known = await memory.store.watermark(session.key.file_name, session.view.began)
            self._queued = _NOTHING if known is None else known
        view, after = session.view, self._queued
        newest = max(_newest(view.live_turns), live_from(view) - 1)
        if after < live_from(view) - 1:
            async with memory.rereading:
                if self._is_stopped:
                    return 0  # while it waited for its turn: nobody is to wait for what it would read
                turns = await self._store.past(session, after, memory.since)
                queued, are_known = await self._queue_turns(turns, after)
                if are_known:
                    await self._pass_by(turns, after, queued)
        else:
            queued, _ = await self._queue_turns(tuple(view.live_turns), after)  # a copy: a reset clears the view's
        self._queued = max(self._queued, newest)
        return len(queued)

    async def _queue_turns(self, turns: Sequence[Turn], after: int) -> tuple[list[Exchange], bool]:
        """Queue the exchanges worth learning; return them, and whether the queue had all of them already."""
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
        """Move memory's watermark past turns without anything worth learning: else each waking reads the file that far
        back.

        Messages of exchanges that are in the queue, or dead there, are left out: learning those moves the watermark.
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
    """Runs one session's Learner beside its turns; does nothing if memory is off."""

    def __init__(self, wiring: Wiring, session: Session, tasks: asyncio.TaskGroup) -> None:
        """Run the looks as tasks on `tasks`."""
        self._learner = Learner(wiring.memory, wiring.store, session) if wiring.memory else None
        self._session = session
        self._tasks = tasks
        self._looking: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether a look is running."""
        return self._looking is not None

    def look(self) -> None:
        """Start queueing what was answered, in the background."""
        if self._learner is None:
            return
        self._learner.hurry()
        if not self.is_busy and self._learner.is_due:
            queueing = self._queue(self._learner)
            self._looking = self._tasks.create_task(queueing, name=f"learning {self._session.path.stem}")

    def stop(self) -> None:
        """Make a look that pauses end."""
        if self._learner is not None:
            self._learner.stop()

    async def _queue(self, learner: Learner) -> None:
        try:
            await learner.queue_all()
        except Exception:
            log.exception("learning_crashed", session=self._session.path.stem)
        finally:
            self._looking = None
            self._session.changed.set()  # the actor may be idle now


def exchanges(session: Session, turns: Sequence[Turn], after: int, memory: Remembrance) -> Iterator[Exchange]:
    """Yield the exchanges worth learning from the answered turns after the message `after`, oldest first.

    An exchange holds the messages of one person: a turn of several people makes several.
    """
    for place, turn in enumerate(turns):
        if not isinstance(turn.end, AssistantMessage):
            continue  # may still be answered, by /retry
        messages = [message for message in turn.messages if message.seq > after and _is_said(message, memory.since)]
        for _, of_one in groupby(messages, _author):
            exchange = _exchange(session, list(of_one), turns[max(place - ECHO_TURNS, 0) : place], turn.end)
            if is_worth_learning(exchange, memory.settings.min_message_chars):
                yield exchange


def _is_said(message: UserMessage, since: str) -> bool:
    """Tell whether a message has an author, was not deleted, and was sent while memory was on."""
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
        direct=source.direct is not False,  # treat an unknown chat as private
        said=tuple(_said(messages, answers, own)),
        answered=answer.content[:MOST_CHARACTERS],
        trace=messages[-1].trace,
    )


def _author(message: UserMessage) -> str | None:
    return message.source.author.id if message.source else None


def _said(messages: Sequence[UserMessage], answers: Sequence[str], own: Sequence[str]) -> Iterator[Words]:
    """Yield what a turn's messages say, MOST_CHARACTERS in all."""
    left = MOST_CHARACTERS
    for message in messages:
        words = _words(message, answers, own)
        yield replace(words, text=words.text[:left])
        left = max(left - len(words.text), 0)


def _words(message: UserMessage, answers: Sequence[str], own: Sequence[str]) -> Words:
    """Return what the author said: without quotes, pasted echoes, and attached files."""
    sent_at = parse_time(message.source.sent_at) if message.source else None
    text = without_echoes(own_words(message.content)[:MOST_CHARACTERS], answers, own)
    return Words(message.seq, sent_at or parse_time(message.ts) or _EPOCH, text)


def _newest(turns: Sequence[Turn]) -> int:
    """Return the seq of the last answered message; `_NOTHING` if there is none."""
    answered = (turn.messages[-1].seq for turn in turns if isinstance(turn.end, AssistantMessage))
    return max(answered, default=_NOTHING)

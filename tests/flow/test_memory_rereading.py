"""These tests check learning from files that were read before, are damaged or were replaced, and after erasures."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from agentd.conversation.learning import Learner
from agentd.conversation.remembrance import MOST_REREAD
from agentd.errors import StorageError
from agentd.tasks.exchanges import parse_exchange
from agentd.tasks.queue import Order
from agentd.transcript.clock import format_time
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Record, Reset, Source
from agentd.transcript.store import Session, SessionStore, open_store, open_store_on
from memory.model import Lesson
from memory.store_memory import InMemoryMemory
from tests.fakes.disk import FakeDisk
from tests.flow.stage import START, Run, rehearsed, until
from tests.flow.test_memory_missed import Unruly, remembrance, turn

ADA = SessionKey("fake", "bot", "dm", sender="ada")
BOB = SessionKey("fake", "bot", "dm", sender="bob")
ROOM = SessionKey("fake", "bot", "room")
SAID = "My cat is called Tom these days."
LATER = "There is a storm over the island today."
SHORT = "ok then"


class Scratched(FakeDisk):
    """A disk that cannot be read beyond so many lines from the end of a file."""

    most_lines = 40

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines that can be read."""
        for number, line in enumerate(super().lines_backwards(path, end)):
            if number == self.most_lines:
                raise OSError(errno.EIO, "Input/output error")
            yield line


class Knowing(Unruly):
    """A queue that takes nothing twice, as the real one."""

    async def defer(self, order: Order) -> bool:
        """Keep a task, once."""
        return order.once not in {known.once for known in self.orders} and await super().defer(order)


class Slow(Unruly):
    """A queue that takes nothing until it is let."""

    def __init__(self) -> None:
        """Begin shut."""
        super().__init__()
        self.opened = asyncio.Event()

    async def defer(self, order: Order) -> bool:
        """Keep a task, some day."""
        self.asked += 1
        await self.opened.wait()
        return await super().defer(order)


@asynccontextmanager
async def on_disk(folder: Path, make: Callable[[FileDisk], FakeDisk]) -> AsyncIterator[tuple[FakeDisk, SessionStore]]:
    with ThreadPoolExecutor(1) as flushers:
        disk = make(FileDisk(flushers))
        async with open_store_on(disk, folder / "sessions", lambda: START) as store:
            yield disk, store


async def written(folder: Path, texts: list[str], key: SessionKey = ADA) -> None:
    """Leave a session's file with these turns, and a new conversation behind them."""
    async with open_store(folder / "sessions", lambda: START) as store:
        session = await store.open(key)
        await store.append(session, *turns(1, texts), reset())


def turns(first: int, texts: list[str]) -> list[Record]:
    return [record for place, text in enumerate(texts) for record in turn(first + 3 * place, text)]


def reset() -> Reset:
    source = Source(chat="dm", message_id="new", sent_at=format_time(START), author=Author(id="ada", name="Ada"))
    return Reset(reason="new", source=source)


async def lines_read(folder: Path, queue: Unruly, memory: InMemoryMemory) -> int:
    """Wake the session as a later run would, and return how many lines learning reads."""
    async with on_disk(folder, FakeDisk) as (disk, store):
        session = await store.open(ADA)
        before = disk.lines_read
        await Learner(remembrance(queue, memory), store, session).queue_all()
        return disk.lines_read - before


async def test_a_file_in_which_nothing_is_worth_learning_is_looked_through_once(tmp_path: Path) -> None:
    await written(tmp_path, [SHORT] * 200)
    queue, memory = Unruly(), InMemoryMemory(lambda: START)

    first, second = [await lines_read(tmp_path, queue, memory) for _ in range(2)]

    assert (first > 600, second < 60) == (True, True)
    assert queue.orders == []


async def test_a_file_of_which_a_task_is_dead_is_not_looked_through_beyond_it_again(tmp_path: Path) -> None:
    await written(tmp_path, [SAID, *[SHORT] * 200])
    queue, memory = Knowing(), InMemoryMemory(lambda: START)

    first, second, third = [await lines_read(tmp_path, queue, memory) for _ in range(3)]

    assert (first > 600, second > 600, third < 60) == (True, True, True)
    assert not await memory.knows(parse_exchange(queue.orders[0].args))


async def test_what_waits_in_the_queue_is_learnt_though_what_is_behind_it_was_passed_by(tmp_path: Path) -> None:
    await written(tmp_path, [SAID, *[SHORT] * 20, LATER])
    queue, memory = Knowing(), InMemoryMemory(lambda: START)
    for _ in range(3):
        await lines_read(tmp_path, queue, memory)

    exchanges = [parse_exchange(order.args) for order in queue.orders]
    outcomes = [(await memory.learn(Lesson(exchange, None))).done for exchange in exchanges]

    assert [exchange.said[0].text for exchange in exchanges] == [SAID, LATER]
    assert outcomes == [True, True]


async def test_a_part_of_a_file_that_cannot_be_read_keeps_nothing_else_from_being_learnt(tmp_path: Path) -> None:
    await written(tmp_path, [SHORT] * 50 + [SAID])
    await written(tmp_path, [LATER], BOB)
    queue = Unruly()
    with ThreadPoolExecutor(1) as flushers:
        run = Run(tmp_path, memory=remembrance(queue), disk=Scratched(FileDisk(flushers)))
        async with rehearsed(run) as stage, asyncio.timeout(10):
            await stage.router.learn_missed()

    assert sorted(queue.texts) == sorted([SAID, LATER])


async def test_a_file_that_is_begun_anew_is_learnt_from_its_first_message_on(tmp_path: Path) -> None:
    queue, memory = Unruly(), InMemoryMemory(lambda: START)
    async with open_store(tmp_path / "sessions", lambda: START.replace(second=queue.asked)) as store:
        session = await store.open(ADA)
        await store.append(session, *turns(1, [SHORT] * 20))
        learner = Learner(remembrance(queue, memory), store, session)
        await learner.queue_all()
        queue.asked = 30  # time goes on
        await begun_anew(store, session)
        await store.append(session, *turns(session.view.next_seq or 1, [SAID]))

        assert learner.is_due
        await learner.queue_all()

    assert queue.texts == [SAID]


async def begun_anew(store: SessionStore, session: Session) -> None:
    """Take the file away, as somebody may, and let the store notice."""
    session.path.unlink()
    with pytest.raises(StorageError):
        await store.append(session, *turns(session.view.next_seq, [SHORT]))


async def test_an_erasure_that_waits_for_learning_keeps_nobody_elses_message_waiting(tmp_path: Path) -> None:
    await written(tmp_path, [SAID])
    queue = Slow()
    async with rehearsed(Run(tmp_path, scope="chat", memory=remembrance(queue))) as stage:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.router.learn_missed(), name="learning")
            await until(lambda: queue.asked > 0)
            erasing = tasks.create_task(rested(stage.router.resting(ROOM, {"ada"})), name="erasing")
            await asyncio.sleep(0)
            async with asyncio.timeout(5):
                await stage.say(SHORT, sender="bob", chat="room")
            assert not erasing.done()
            queue.opened.set()
        await stage.say(SHORT, sender="bob", chat="room")

    assert stage.channel.texts == ["ok", "ok"]


async def rested(resting: AbstractAsyncContextManager[None]) -> None:
    async with resting:
        pass


async def test_of_many_sessions_whose_past_is_to_be_learnt_few_are_in_memory_at_once(tmp_path: Path) -> None:
    people = [SessionKey("fake", "bot", "dm", sender=f"p{number}") for number in range(MOST_REREAD + 3)]
    for person in people:
        await written(tmp_path, [SAID], person)
    queue, memory = Slow(), InMemoryMemory(lambda: START)
    shared = remembrance(queue, memory)
    async with open_store(tmp_path / "sessions", lambda: START) as store, asyncio.TaskGroup() as tasks:
        for person in people:
            learner = Learner(shared, store, await store.open(person))
            tasks.create_task(learner.queue_all(), name=person.file_name)
        await until(lambda: queue.asked == MOST_REREAD)
        await asyncio.sleep(0.1)  # in which others would come as far
        asked_before = queue.asked
        queue.opened.set()

    assert asked_before == MOST_REREAD
    assert queue.texts == [SAID] * len(people)


async def test_who_waits_for_the_turn_to_read_a_past_and_is_stopped_reads_nothing(tmp_path: Path) -> None:
    people = [SessionKey("fake", "bot", "dm", sender=f"p{number}") for number in range(MOST_REREAD + 1)]
    for person in people:
        await written(tmp_path, [f"{SAID} I am {person.sender}."], person)
    queue = Slow()
    shared = remembrance(queue)
    async with open_store(tmp_path / "sessions", lambda: START) as store, asyncio.TaskGroup() as tasks:
        learners = [Learner(shared, store, await store.open(person)) for person in people]
        for person, learner in zip(people, learners, strict=True):
            tasks.create_task(learner.queue_all(), name=person.file_name)
        await until(lambda: queue.asked == MOST_REREAD)
        for learner in learners:
            learner.stop()
        queue.opened.set()

    assert len(queue.texts) == MOST_REREAD
    assert learners[-1].is_due

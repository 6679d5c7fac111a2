from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from agentd.errors import StorageError
from agentd.transcript.key import SessionKey
from agentd.transcript.store import Session, SessionStore, open_store_on
from agentd.transcript.view import fold
from agentd.transcript.writing import BATCH_APPENDS, WAITING_APPENDS
from tests.fakes.disk import FakeDisk, Gate
from tests.unit.agentd.transcript.building import (
    KEY,
    answer,
    start_clock,
    user,
)
from tests.unit.agentd.transcript.stores import opened, reached, records_of, texts_of, waiting_texts


async def test_appends_of_many_sessions_share_commits_and_keep_their_order(disk: FakeDisk, folder: Path) -> None:
    sessions, each = 20, 10
    async with opened(disk, folder) as store:
        known = [await store.open(SessionKey("c", "a", str(number))) for number in range(sessions)]
        first = await store.open(KEY)
        gate = disk.hold_commit()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.append(first, user("m")))
            await reached(gate)
            for number, session in itertools.product(range(each), known):
                tasks.create_task(store.append(session, user(f"m{number}")))
            await asyncio.sleep(0)
            gate.opened.set()

    assert len(disk.commits) == 2
    for session in known:
        assert texts_of(disk, folder, session.key) == [f"text of m{number}" for number in range(each)]
        assert list(session.view.pending) == list(range(1, each + 1))


async def test_more_appends_than_may_wait_are_all_committed_in_their_order(disk: FakeDisk, folder: Path) -> None:
    count = 2 * WAITING_APPENDS + 100
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        async with asyncio.TaskGroup() as tasks:
            for number in range(count):
                tasks.create_task(store.append(session, user(f"m{number}")))

    assert texts_of(disk, folder) == [f"text of m{number}" for number in range(count)]
    assert count // BATCH_APPENDS <= len(disk.commits) <= count // BATCH_APPENDS + 4


async def test_cancelling_the_caller_neither_cuts_nor_loses_its_append(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
        session = await store.open(KEY)
        gate = disk.hold_commit()
        running = tasks.create_task(store.append(session, user("under-way")))
        await reached(gate)
        queued = tasks.create_task(store.append(session, user("queued"), answer(2)))
        await asyncio.sleep(0)
        running.cancel()
        queued.cancel()
        await asyncio.wait([running, queued])
        gate.opened.set()
        await store.append(session, user("next"))

        assert (running.cancelled(), queued.cancelled()) == (True, True)
    assert texts_of(disk, folder) == ["text of under-way", "text of queued", "text of next"]
    assert list(session.view.turns[0].messages) == [fold(records_of(disk, folder)).turns[0].messages[0]]
    assert waiting_texts(session.view) == ["text of under-way", "text of next"]


async def test_the_session_says_so_when_an_append_without_a_caller_is_done(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
        session = await store.open(KEY)
        gate = disk.hold_commit()
        task = tasks.create_task(store.append(session, user("m")))
        await reached(gate)
        task.cancel()
        gate.opened.set()
        await session.changed.wait()

        assert waiting_texts(session.view) == ["text of m"]


async def test_who_is_cancelled_before_there_was_room_has_written_nothing(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
        session = await store.open(KEY)
        gate = disk.hold_commit()
        for number in range(WAITING_APPENDS):
            tasks.create_task(store.append(session, user(f"m{number}")))
        await reached(gate)
        late = [tasks.create_task(store.append(session, user(f"late{number}"))) for number in range(10)]
        await asyncio.sleep(0)
        for task in late[::2]:
            task.cancel()
        gate.opened.set()

    assert texts_of(disk, folder)[WAITING_APPENDS:] == [f"text of late{number}" for number in range(1, 10, 2)]


async def test_leaving_commits_all_that_was_called_for(disk: FakeDisk, folder: Path) -> None:
    count = WAITING_APPENDS + 500
    async with asyncio.TaskGroup() as tasks:
        async with opened(disk, folder) as store:
            session = await store.open(KEY)
            gate = disk.hold_commit()
            waiting = [tasks.create_task(store.append(session, user(f"m{number}"))) for number in range(count)]
            await reached(gate)
            gate.opened.set()
        done = [task for task in waiting if task.done()]

    assert len(done) >= count - BATCH_APPENDS
    assert len(texts_of(disk, folder)) == len(session.view.pending) == count


class Crash(BaseException):
    """What no `except Exception` catches."""


@pytest.mark.parametrize("bug", [RuntimeError("bug"), Crash(), KeyboardInterrupt(), SystemExit(1)], ids=repr)
async def test_whatever_ends_the_body_what_waits_is_committed(disk: FakeDisk, folder: Path, bug: BaseException) -> None:
    async def run(tasks: asyncio.TaskGroup) -> None:
        async with opened(disk, folder) as store:
            session = await store.open(KEY)
            gate = disk.hold_commit()
            for number in range(300):
                tasks.create_task(store.append(session, user(f"m{number}")))
            await reached(gate)
            gate.opened.set()
            raise bug

    async with asyncio.TaskGroup() as tasks:
        with pytest.raises((type(bug), BaseExceptionGroup)) as caught:
            await run(tasks)

    assert caught.value is bug or caught.group_contains(type(bug))
    assert len(texts_of(disk, folder)) == 300


async def test_a_cancelled_body_still_commits_what_waits(disk: FakeDisk, folder: Path) -> None:
    gates: list[Gate] = []

    async def run() -> None:
        async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
            session = await store.open(KEY)
            gates.append(disk.hold_commit())
            for number in range(50):
                tasks.create_task(store.append(session, user(f"m{number}")))
            await reached(gates[0])
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await begun.wait()
        running.cancel()
        gates[0].opened.set()

    assert running.cancelled()
    assert len(texts_of(disk, folder)) == 50


async def test_who_is_cancelled_twice_leaves_whole_lines(disk: FakeDisk, folder: Path) -> None:
    """The second time cuts the wait for the disk short; the thread that writes finishes its job."""
    gates: list[Gate] = []

    async def run() -> None:
        async with open_store_on(disk, folder, start_clock) as store, asyncio.TaskGroup() as tasks:
            session = await store.open(KEY)
            gates.append(disk.hold_commit())
            for number in range(5):
                tasks.create_task(store.append(session, user(f"m{number}")))
            await reached(gates[0])
            begun.set()
            await asyncio.Event().wait()

    begun = asyncio.Event()
    async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
        running = tasks.create_task(run())
        await begun.wait()
        running.cancel()
        for _ in range(5):
            await asyncio.sleep(0)
        running.cancel()
        gates[0].opened.set()

    assert running.cancelled()
    assert texts_of(disk, folder) == ["text of m0"] or len(texts_of(disk, folder)) == 5


async def test_a_bug_below_ends_the_store_and_nobody_waits_for_ever(disk: FakeDisk, folder: Path) -> None:
    outcomes: list[BaseException | None] = []

    async def run() -> None:
        async with open_store_on(disk, folder, start_clock) as store, asyncio.TaskGroup() as tasks:
            session = await store.open(KEY)
            gate = disk.hold_commit()
            disk.break_next(ZeroDivisionError())
            for number in range(WAITING_APPENDS + 50):
                tasks.create_task(watch(store, session, number))
            await reached(gate)
            gate.opened.set()

    async def watch(store: SessionStore, session: Session, number: int) -> None:
        try:
            await store.append(session, user(f"m{number}"))
        except (asyncio.CancelledError, StorageError) as fault:
            outcomes.append(fault)
            raise

    with pytest.raises(BaseExceptionGroup) as caught:
        async with asyncio.timeout(30) as limit:
            await run()

    assert not limit.expired()
    assert caught.group_contains(ZeroDivisionError, depth=None)
    assert len(outcomes) == WAITING_APPENDS + 50


async def test_an_append_after_the_end_is_refused(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)

    for _ in range(2):
        with pytest.raises(StorageError, match="closed"):
            await store.append(session, user("m"))


async def test_leaving_while_a_file_is_read_waits_for_the_reader(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
        gate = disk.hold_reading()
        reading = tasks.create_task(store.open(KEY))
        await reached(gate)
        reading.cancel()
        gate.opened.set()

    assert reading.cancelled()

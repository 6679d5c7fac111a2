"""These tests check work on a file between two commits: the open session becomes what the file holds, without loss."""

from __future__ import annotations

import asyncio
import errno
import os
from functools import partial
from pathlib import Path

import pytest

from agentd.errors import StorageError
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.mending import mend
from agentd.transcript.records import UserMessage
from agentd.transcript.store import SessionStore, open_store
from tests.fakes.disk import FakeDisk, Gate
from tests.unit.agentd.transcript.building import KEY, OTHER_KEY, answer, start_clock, user
from tests.unit.agentd.transcript.stores import opened, path_of, reached, texts_of, waiting_texts

NOW = "2026-02-02T12:00:00.000Z"


def spoil(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


async def repair(store: SessionStore, folder: Path) -> None:
    path = path_of(folder)
    await store.exclusive((path,), partial(mend, path, NOW))


async def test_a_session_that_is_open_goes_on_as_what_the_repaired_file_holds(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"), user("b"))
        spoil(path_of(folder), b"text of a", b"text \x00f a")
        session.changed.clear()
        await repair(store, folder)
        after, is_told = waiting_texts(session.view), session.changed.is_set()
        [recorded] = await store.append(session, user("c"))

    assert (after, is_told) == (["text of b"], True)
    assert recorded.seq == 3
    assert texts_of(files, folder) == ["text of b", "text of c"]


async def test_what_was_appended_before_is_repaired_and_what_comes_after_follows(files: FakeDisk, folder: Path) -> None:
    seen: list[bytes] = []
    async with opened(files, folder) as store, asyncio.TaskGroup() as tasks:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        gate = files.hold_commit()
        tasks.create_task(store.append(session, user("b")), name="before")
        await reached(gate)
        tasks.create_task(store.append(session, user("c")), name="before, in the next batch")
        await asyncio.sleep(0)
        look = partial(lambda path: seen.append(path.read_bytes()), path_of(folder))
        tasks.create_task(store.exclusive((path_of(folder),), look), name="exclusive")
        await asyncio.sleep(0)
        tasks.create_task(store.append(session, user("d")), name="after")
        await asyncio.sleep(0)
        gate.opened.set()

    assert [b"text of c" in content and b"text of d" not in content for content in seen] == [True]
    assert texts_of(files, folder) == [f"text of {name}" for name in "abcd"]


async def test_an_answer_that_was_lost_is_asked_for_again(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        await store.append(session, answer(1))
        spoil(path_of(folder), b'"answers":[1]', b'"answers":[9]')
        await repair(store, folder)

        assert waiting_texts(session.view) == ["text of a"]


async def test_what_a_failed_append_left_is_no_record_after_a_repair(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        files.fail_next(path_of(folder), errno.ENOSPC, leaves=10_000)
        with pytest.raises(StorageError):
            await store.append(session, user("b"))
        await repair(store, folder)
        await store.append(session, user("c"))

    assert texts_of(files, folder) == ["text of a", "text of c"]


async def test_a_job_that_fails_says_so_and_the_store_goes_on(files: FakeDisk, folder: Path) -> None:
    def fail() -> None:
        raise OSError(errno.EIO, "no")

    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        with pytest.raises(OSError, match="no"):
            await store.exclusive((path_of(folder),), fail)
        await store.append(session, user("b"))

    assert texts_of(files, folder) == ["text of a", "text of b"]


async def test_a_file_that_gets_the_name_of_an_open_session_is_what_that_session_holds(
    files: FakeDisk, folder: Path
) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("a"))
    wrong, right = folder / "wrong.jsonl", path_of(folder)
    right.rename(wrong)
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        assert session.length == 0
        await store.exclusive((wrong, right), partial(mend, wrong, NOW))
        [recorded] = await store.append(session, user("b"))

    assert recorded.seq == 2
    assert texts_of(files, folder) == ["text of a", "text of b"]


async def test_who_opens_a_session_while_its_file_is_replaced_waits_for_the_new_one(
    files: FakeDisk, folder: Path
) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("a"), user("b"))
    spoil(path_of(folder), b"text of a", b"text \x00f a")
    gate = Gate()

    def slowly() -> None:
        gate.pass_through()
        mend(path_of(folder), NOW)

    async with opened(files, folder) as store, asyncio.TaskGroup() as tasks:
        tasks.create_task(store.exclusive((path_of(folder),), slowly), name="repair")
        await reached(gate)
        opening = tasks.create_task(store.open(KEY), name="open")
        other = await store.open(OTHER_KEY)
        assert not opening.done()
        gate.opened.set()
        session = await opening
        await store.append(session, user("c"))
        await store.append(other, user("x"))

    assert texts_of(files, folder) == ["text of b", "text of c"]


async def test_cancelling_who_asked_does_not_stop_the_job(files: FakeDisk, folder: Path) -> None:
    gate, done = Gate(), []

    def job() -> None:
        gate.pass_through()
        done.append(True)

    async with opened(files, folder) as store:
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(store.exclusive((path_of(folder),), job), name="exclusive")
            await reached(gate)
            asking.cancel()
            await asyncio.wait([asking])
        gate.opened.set()

    assert asking.cancelled()
    assert done == [True]


async def test_a_file_that_cannot_be_read_after_a_job_is_never_written_over(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        files.fail_start(path_of(folder), errno.EMFILE)
        await store.exclusive((path_of(folder),), lambda: None)
        with pytest.raises(StorageError):
            await store.append(session, user("b"))
        files.heal()
        with pytest.raises(StorageError):
            await store.append(session, user("b"))
        await store.append(session, user("b"))

    assert texts_of(files, folder) == ["text of a", "text of b"]


async def test_an_append_after_a_failed_one_and_a_job_waits_until_the_file_can_be_read(
    files: FakeDisk, folder: Path
) -> None:
    """What the failed one left is gone by then: nothing is to be cut, and the file is not at fault."""
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        files.fail_next(path_of(folder), errno.ENOSPC, leaves=10)
        with pytest.raises(StorageError):
            await store.append(session, user("b"))
        await store.exclusive((path_of(folder),), partial(files.fail_start, path_of(folder), errno.EMFILE))
        for _ in range(2):
            with pytest.raises(StorageError, match="changed, and cannot be read"):
                await store.append(session, user("b"))
        files.heal()
        with pytest.raises(StorageError, match="changed, and was read again"):
            await store.append(session, user("b"))
        await store.append(session, user("c"))

    assert texts_of(files, folder) == ["text of a", "text of c"]
    assert os.listdir(folder) == [path_of(folder).name]


async def test_where_the_rest_of_a_failed_append_cannot_be_cut_no_job_begins_and_it_is_no_record(
    files: FakeDisk, folder: Path
) -> None:
    done: list[bool] = []
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("a"))
        files.fail_next(path_of(folder), errno.ENOSPC, leaves=10_000, times=2)
        with pytest.raises(StorageError):
            await store.append(session, user("b"))
        with pytest.raises(OSError, match="No space left"):
            await store.exclusive((path_of(folder),), partial(done.append, True))
        waiting = waiting_texts(session.view)
        await store.append(session, user("c"))

    assert (done, waiting) == ([], ["text of a"])
    assert texts_of(files, folder) == ["text of a", "text of c"]


async def test_only_an_append_that_is_durable_is_measured_its_waiting_included(folder: Path) -> None:
    took: list[float] = []
    disks: list[FakeDisk] = []

    def wrap_disk(disk: object) -> FakeDisk:
        assert isinstance(disk, FileDisk)
        disks.append(FakeDisk(disk))
        return disks[0]

    async with open_store(folder, start_clock, wrap_disk=wrap_disk, observe=took.append) as store:
        session = await store.open(KEY)
        disks[0].fail_next(path_of(folder), errno.ENOSPC)
        with pytest.raises(StorageError):
            await store.append(session, user("a"))
        assert took == []
        seconds = await seconds_of_two(store, disks[0])

    assert len(took) == 2
    assert all(0 < each <= seconds for each in took)
    assert max(took) > seconds / 2


async def seconds_of_two(store: SessionStore, disk: FakeDisk) -> float:
    """Append twice, the second while the first is held; return how long that took."""
    loop = asyncio.get_running_loop()
    session, begun = await store.open(KEY), loop.time()
    gate = disk.hold_commit()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.append(session, UserMessage(content="a")), name="first")
        await reached(gate)
        tasks.create_task(store.append(session, UserMessage(content="b")), name="second")
        await asyncio.sleep(0.02)  # what is measured: more than the way there and back on a busy machine
        gate.opened.set()
    return loop.time() - begun

"""These tests check the store and `state.db` together: what a start reads, and what it may leave unread."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentd.state.state import open_state
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Delivery, Record
from agentd.transcript.store import SessionStore, open_store_on
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import START, answer, user

SESSIONS = 5


@dataclass
class Workspace:
    """A daemon's folder over several runs, and its clock."""

    path: Path
    files: FileDisk
    now: datetime = START

    @property
    def folder(self) -> Path:
        return self.path / "sessions"

    def file(self, number: int) -> Path:
        return self.folder / f"{key_of(number).file_name}.jsonl"

    @asynccontextmanager
    async def run(self) -> AsyncIterator[tuple[SessionStore, FakeDisk]]:
        disk = FakeDisk(self.files)
        async with (
            open_state(self.path / "state.db", "1", self.clock) as state,
            open_store_on(disk, self.folder, self.clock, marks=state.marks) as store,
        ):
            yield store, disk

    async def recover(self) -> tuple[list[SessionKey], int]:
        """Return what a run finds unfinished, and how many files it reads for that; keep the marks."""
        async with self.run() as (store, disk):
            found = await store.unfinished()
            read = len(disk.tails_read)
            await store.keep_marks()
        return found, read

    def clock(self) -> datetime:
        return self.now


def key_of(number: int) -> SessionKey:
    return SessionKey("fake", "bot", str(number))


async def turn(store: SessionStore, number: int) -> None:
    session = await store.open(key_of(number))
    [asked] = await store.append(session, user("m"))
    [said] = await store.append(session, answer(asked.seq))
    await store.append(session, Delivery(of=said.seq, state="sent"))


async def add(store: SessionStore, number: int, *records: Record) -> None:
    await store.append(await store.open(key_of(number)), *records)


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    (tmp_path / "sessions").mkdir()
    with ThreadPoolExecutor(2) as threads:
        yield Workspace(tmp_path, FileDisk(threads))


@pytest.fixture
async def settled(workspace: Workspace) -> Workspace:
    """Return a workspace of settled sessions, whose marks were kept."""
    async with workspace.run() as (store, _):
        for number in range(SESSIONS):
            await turn(store, number)
    assert await workspace.recover() == ([], SESSIONS)
    return workspace


async def test_a_session_that_an_earlier_run_found_settled_is_not_read(settled: Workspace) -> None:
    async with settled.run() as (store, disk):
        assert await store.unfinished() == []
        assert (disk.tails_read, disk.bytes_read, disk.lines_read) == ([], 0, 0)


@pytest.mark.parametrize("shift", [timedelta(0), timedelta(days=-400), timedelta(days=400)])
async def test_a_session_appended_after_its_mark_is_searched_whatever_the_clock_says(
    settled: Workspace, shift: timedelta
) -> None:
    settled.now += shift
    async with settled.run() as (store, _):
        await add(store, 2, user("new"))
    os.utime(settled.file(2), (0, 0))

    assert await settled.recover() == ([key_of(2)], 1)
    assert await settled.recover() == ([key_of(2)], 1)


async def test_a_file_replaced_by_another_of_the_same_size_is_searched(settled: Workspace) -> None:
    path = settled.file(2)
    content = path.read_bytes()
    changed = content.replace(b'"of":2', b'"of":9')
    times = os.stat(path)
    other = path.with_suffix(".new")
    other.write_bytes(changed)
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.rename(path)

    assert len(changed) == len(content)
    assert await settled.recover() == ([key_of(2)], 1)


async def test_a_kill_between_recovery_and_marks_costs_one_more_search(workspace: Workspace) -> None:
    async with workspace.run() as (store, _):
        await turn(store, 0)
        await add(store, 1, user("waits"))
    async with workspace.run() as (store, _):
        assert await store.unfinished() == [key_of(1)]

    assert await workspace.recover() == ([key_of(1)], 2)
    assert await workspace.recover() == ([key_of(1)], 1)


async def test_what_is_appended_between_the_search_and_the_marks_is_searched_by_the_next_run(
    workspace: Workspace,
) -> None:
    async with workspace.run() as (store, _):
        await turn(store, 0)
    async with workspace.run() as (store, _):
        assert await store.unfinished() == []
        await add(store, 0, user("new"))
        await store.keep_marks()

    assert await workspace.recover() == ([key_of(0)], 1)


async def test_garbage_in_place_of_the_marks_costs_a_whole_search(settled: Workspace) -> None:
    (settled.path / "state.db").write_bytes(b"garbage")

    assert await settled.recover() == ([], SESSIONS)
    assert await settled.recover() == ([], 0)


async def test_marks_that_are_gone_cost_a_whole_search(settled: Workspace) -> None:
    (settled.path / "state.db").unlink()

    assert await settled.recover() == ([], SESSIONS)


async def test_sessions_brought_back_from_a_copy_are_searched(settled: Workspace) -> None:
    kept = settled.path / "kept"
    shutil.copytree(settled.folder, kept)
    shutil.rmtree(settled.folder)
    shutil.copytree(kept, settled.folder)

    assert await settled.recover() == ([], SESSIONS)


async def test_marks_of_sessions_that_are_gone_go_too(settled: Workspace) -> None:
    settled.file(1).unlink()
    async with settled.run() as (store, _):
        await store.unfinished()
        await store.keep_marks()
    async with open_state(settled.path / "state.db", "1", settled.clock) as state:
        kept = await state.marks.settled()

    assert sorted(kept) == sorted(settled.file(number).name for number in range(SESSIONS) if number != 1)


async def test_a_session_that_is_finished_later_is_marked_by_the_run_after(settled: Workspace) -> None:
    async with settled.run() as (store, _):
        await add(store, 2, user("new"))
    async with settled.run() as (store, _):
        [key] = await store.unfinished()
        session = await store.open(key)
        [seq] = session.view.pending
        [said] = await store.append(session, answer(seq))
        await store.append(session, Delivery(of=said.seq, state="sent"))
        await store.keep_marks()

    assert await settled.recover() == ([], 1)
    assert await settled.recover() == ([], 0)

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from agentd.errors import StorageError
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.key import SessionKey
from agentd.transcript.records import SessionHeader, encode_line
from agentd.transcript.store import Session, SessionStore, open_store
from agentd.transcript.view import Transcript
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    OTHER_KEY,
    answer,
    as_file,
    numbered,
    start_clock,
    user,
)
from tests.unit.agentd.transcript.stores import keys_of, opened, path_of, reached, texts_of, waiting_texts


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE])
async def test_a_disk_that_refuses_is_told_and_the_next_append_works(disk: FakeDisk, folder: Path, code: int) -> None:
    """Such a fault is not only logged: a daemon that went on would take the record for there."""
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        disk.fail_next(session.path, code)
        with pytest.raises(StorageError, match=os.strerror(code)):
            await store.append(session, user("lost"), answer(1))
        before = waiting_texts(session.view)
        [record] = await store.append(session, user("m2"))

        assert disk.names(folder) == [session.path.name]
    assert before == ["text of m1"]
    assert record.seq == 2
    assert texts_of(disk, folder) == ["text of m1", "text of m2"]


async def test_the_first_append_of_a_session_may_fail_too(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        disk.fail_next(session.path, errno.ENOSPC)
        with pytest.raises(StorageError, match="free some space"):
            await store.append(session, user("lost"))
        empty = (session.view == Transcript(key=KEY), await store.unfinished())
        await store.append(session, user("m1"))

        assert keys_of(disk, folder) == [KEY]
    assert empty == (True, [])
    assert texts_of(disk, folder) == ["text of m1"]


@pytest.mark.parametrize("leaves", [1, 40, 10_000])
async def test_what_a_failed_append_left_is_cut_by_the_next(files: FakeDisk, folder: Path, leaves: int) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        files.fail_next(session.path, errno.ENOSPC, leaves=leaves)
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        torn = session.path.read_bytes()
        await store.append(session, user("m2"))
        await store.append(session, user("m3"))

    assert len(torn) > session.path.read_bytes().index(b"\n") + 1
    assert texts_of(files, folder) == ["text of m1", "text of m2", "text of m3"]


async def test_a_failed_append_that_also_left_its_bytes_of_a_new_file_is_healed(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        files.fail_next(session.path, errno.EIO, leaves=25)
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        await store.append(session, user("m1"))

    assert texts_of(files, folder) == ["text of m1"]


async def test_one_file_that_fails_in_a_batch_does_not_fail_the_others(disk: FakeDisk, folder: Path) -> None:
    outcomes: dict[str, str] = {}

    async def say(store: SessionStore, session: Session) -> None:
        try:
            await store.append(session, user("m"))
        except StorageError:
            outcomes[session.key.chat] = "failed"
        else:
            outcomes[session.key.chat] = "kept"

    async with opened(disk, folder) as store:
        first = await store.open(KEY)
        sessions = [await store.open(SessionKey("c", "a", str(number))) for number in range(5)]
        gate = disk.hold_commit()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.append(first, user("m")))
            await reached(gate)
            for session in sessions:
                tasks.create_task(say(store, session))
            await asyncio.sleep(0)
            disk.fail_next(sessions[2].path, errno.EIO)
            gate.opened.set()

        assert len(keys_of(disk, folder)) == 5
    assert outcomes == {"0": "kept", "1": "kept", "2": "failed", "3": "kept", "4": "kept"}
    assert len(disk.commits[-1]) == 5


async def test_a_file_that_somebody_else_changed_is_read_again(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        foreign = encode_line(user("foreign", seq=2))
        with session.path.open("ab") as file:
            file.write(foreign)
        with pytest.raises(StorageError, match="changed by somebody else"):
            await store.append(session, user("lost"))
        before = waiting_texts(session.view)
        await store.append(session, user("m3"))

    assert before == ["text of m1", "text of foreign"]
    assert texts_of(files, folder) == ["text of m1", "text of foreign", "text of m3"]


async def test_a_file_that_was_moved_away_begins_anew(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        session.path.rename(folder / "kept.old")
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        await store.append(session, user("m2"))

    assert texts_of(files, folder) == ["text of m2"]
    assert b"text of m1" in (folder / "kept.old").read_bytes()


async def test_two_stores_on_one_folder_notice_each_other_and_lose_nothing(folder: Path) -> None:
    said: list[str] = []

    async def say(store: SessionStore, text: str) -> None:
        session = await store.open(KEY)
        sessions.append(session)
        try:
            await store.append(session, user(text))
        except StorageError:
            await store.append(session, user(text))
        said.append(f"text of {text}")

    sessions: list[Session] = []
    async with open_store(folder, start_clock) as one, open_store(folder, start_clock) as other:
        for number in range(6):
            await say(one if number % 2 else other, f"m{number}")

        assert waiting_texts((await one.open(KEY)).view) == said
    with ThreadPoolExecutor(1) as threads:
        assert texts_of(FakeDisk(FileDisk(threads)), folder) == said


async def test_a_file_under_anothers_name_is_no_session_of_its_own(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("m1"))
    shutil.copy(path_of(folder), path_of(folder, OTHER_KEY))
    async with opened(files, folder) as store:
        with capture_logs() as logs:
            keys_found = await store.unfinished()

    assert keys_found == [KEY]
    assert [log["event"] for log in logs] == ["session_file_ignored"]


async def test_one_file_that_cannot_be_read_does_not_hide_the_others(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("m"))
    path_of(folder, OTHER_KEY).write_text("x")
    files.fail_start(path_of(folder, OTHER_KEY), errno.EIO)
    async with opened(files, folder) as store:
        with capture_logs() as logs:
            found = await store.unfinished()

    assert set(found) == {KEY, OTHER_KEY}
    assert [(log["event"], log["log_level"]) for log in logs] == [("session_not_readable", "error")]


async def test_a_folder_that_is_gone_is_told(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        os.rmdir(folder)
        with pytest.raises(StorageError):
            await store.unfinished()
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        os.mkdir(folder)
        await store.append(session, user("m"))

    assert texts_of(files, folder) == ["text of m"]


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
async def test_text_that_is_no_unicode_fails_its_own_append_alone(disk: FakeDisk, folder: Path, text: str) -> None:
    async def refused(store: SessionStore, session: Session) -> None:
        with pytest.raises(StorageError, match="no Unicode"):
            await store.append(session, user("before"), user("bad", text), user("after"))

    async with opened(disk, folder) as store:
        session, other = await store.open(KEY), await store.open(OTHER_KEY)
        gate = disk.hold_commit()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(store.append(session, user("m1")))
            await reached(gate)
            tasks.create_task(store.append(session, user("m2")))
            tasks.create_task(refused(store, session))
            tasks.create_task(refused(store, other))
            tasks.create_task(store.append(session, user("m3")))
            await asyncio.sleep(0)
            gate.opened.set()
        await refused(store, session)

        assert keys_of(disk, folder) == [KEY]
    assert texts_of(disk, folder) == ["text of m1", "text of m2", "text of m3"]
    assert waiting_texts(session.view) == texts_of(disk, folder)


async def test_a_failed_append_behind_a_torn_line_leaves_it_as_it_was(files: FakeDisk, folder: Path) -> None:
    whole = as_file(numbered(SessionHeader(version=1, key=KEY), user("m1")))
    path_of(folder).write_bytes(whole[:-1])
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        files.fail_next(session.path, errno.ENOSPC, leaves=3)
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        await store.append(session, user("m2"))

    assert path_of(folder).read_bytes().startswith(whole)
    assert texts_of(files, folder) == ["text of m1", "text of m2"]


@settings(CALM, max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["keep", "cancel", "fail", "tear", "bad", "pause"])), max_size=25
    )
)
async def test_whatever_happens_to_appends_file_and_view_agree(steps: list[tuple[int, str]]) -> None:
    """A step is an append to one of three sessions, and what becomes of it."""
    with ThreadPoolExecutor(2) as threads, TemporaryDirectory() as name:
        disk, folder = FakeDisk(FileDisk(threads)), Path(name)
        chosen = [SessionKey("c", "a", str(number)) for number in range(3)]
        async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
            sessions = [await store.open(key) for key in chosen]
            for number, (which, fate) in enumerate(steps):
                task = tasks.create_task(attempt(store, sessions[which], number, bad=fate == "bad"))
                if fate in ("fail", "tear"):
                    disk.fail_next(sessions[which].path, errno.ENOSPC, leaves=30 * (fate == "tear"))
                if fate != "keep":
                    await asyncio.sleep(0)
                if fate == "cancel":
                    task.cancel()
                if fate == "pause":
                    await asyncio.wait([task])
        for session in sessions:
            if session.cut_first:
                continue  # what the last failure left is cut by the next append
            assert waiting_texts(session.view) == texts_of(disk, folder, session.key) if session.length else True


async def attempt(store: SessionStore, session: Session, number: int, *, bad: bool) -> None:
    try:
        await store.append(session, user(f"m{number}", "\ud800" if bad else ""))
    except StorageError:
        return

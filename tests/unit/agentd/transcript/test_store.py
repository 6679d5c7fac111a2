from __future__ import annotations

import asyncio
import itertools
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings

from agentd.errors import StorageError
from agentd.transcript.key import SessionKey
from agentd.transcript.memory_disk import MemoryDisk
from agentd.transcript.records import Reset, SessionHeader
from agentd.transcript.seen import SEEN_MESSAGES
from agentd.transcript.store import Session, open_store
from agentd.transcript.view import Transcript
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    OTHER_KEY,
    START,
    History,
    answer,
    as_file,
    keys,
    numbered,
    put,
    start_clock,
    user,
)
from tests.unit.agentd.transcript.stores import keys_of, opened, path_of, records_of, texts_of, waiting_texts


async def test_an_append_and_a_later_run_give_the_same_session(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        added = [*await store.append(session, user("m1")), *await store.append(session, answer(1), Reset(reason="new"))]
    async with opened(disk, folder) as store:
        again = await store.open(KEY)

    assert [record.seq for record in added] == [1, 2, 3]
    assert {record.ts for record in added} == {"2026-01-01T12:00:00.000Z"}
    assert records_of(disk, folder) == added
    assert again.view == session.view
    assert again.view.key == KEY


async def test_every_append_adds_a_line_and_changes_none(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        for number in range(2, 6):
            before = session.path.read_bytes()
            await store.append(session, user(f"m{number}"))
            after = session.path.read_bytes()

            assert after.startswith(before)
            assert after[len(before) :].count(b"\n") == 1


async def test_a_session_that_was_never_written_is_empty_and_makes_no_file(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)

        assert session.view == Transcript(key=KEY)
        assert keys_of(disk, folder) == []


async def test_each_session_has_a_file_that_holds_its_key(disk: FakeDisk, folder: Path) -> None:
    wanted = [KEY, OTHER_KEY, SessionKey("c", "a/b", "x:y", "", "%"), SessionKey("c", "a", "x" * 500, "..", "\x00/")]
    async with opened(disk, folder) as store:
        for key in wanted:
            await store.append(await store.open(key), user("m"))

        assert set(keys_of(disk, folder)) == set(wanted)


@settings(CALM, max_examples=50)
@given(keys)
async def test_any_key_is_a_session_of_its_own(key: SessionKey) -> None:
    disk, folder = FakeDisk(MemoryDisk()), Path("/nowhere")
    async with opened(disk, folder) as store:
        await store.append(await store.open(key), user("m"))

        assert keys_of(disk, folder) == [key]
        assert waiting_texts((await store.open(key)).view) == ["text of m"]


async def test_hostile_keys_stay_inside_the_folder(files: FakeDisk, folder: Path) -> None:
    parts = ["", ".", "..", "../../etc/passwd", "/", "\x00", "%", "~", "-rf", "x" * 5000, "con", "a\nb", "NUL\\x"]
    async with opened(files, folder) as store:
        for chat, sender in itertools.product(parts, [None, *parts]):
            await store.append(await store.open(SessionKey("c", "a", chat, None, sender)), user("m"))

        assert len(keys_of(files, folder)) == len(parts) * (len(parts) + 1)
    assert len(os.listdir(folder)) == len(parts) * (len(parts) + 1)
    assert os.listdir(folder.parent) == [folder.name]


async def test_a_key_that_is_no_unicode_is_refused_and_the_others_go_on(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        with pytest.raises(StorageError, match="no Unicode"):
            await store.open(SessionKey("c", "a", "\ud800"))
        await store.append(await store.open(KEY), user("m"))

        assert keys_of(disk, folder) == [KEY]


async def test_whoever_opens_a_session_twice_has_one(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        one, other = await store.open(KEY), await store.open(KEY)
        async with asyncio.TaskGroup() as tasks:
            for number, session in enumerate([one, other] * 20):
                tasks.create_task(store.append(session, user(f"m{number}")))

    assert one is other
    assert len(texts_of(disk, folder)) == len(one.view.pending) == 40


async def test_sessions_opened_at_the_same_time_are_one(disk: FakeDisk, folder: Path) -> None:
    found: list[Session] = []
    async with opened(disk, folder) as store, asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(store.open(KEY)).add_done_callback(lambda task: found.append(task.result()))

    assert len(found) == 5
    assert len(set(map(id, found))) == 1


async def test_an_append_of_nothing_writes_nothing_but_the_header(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        assert await store.append(session) == []
        [record] = await store.append(session, user("m1"))

    assert record.seq == 1


async def test_a_revoked_compaction_brings_back_turns_that_were_not_read(disk: FakeDisk, folder: Path) -> None:
    """The file was read back to what the compaction covers; without it, more of the file matters."""
    history = History(START - timedelta(hours=100))
    for number in range(SEEN_MESSAGES + 300):
        history.say()
        history.reply()
        history.wait(0.03)
        if number in (50, SEEN_MESSAGES + 290):
            history.compact(keep=1)
    put(disk, path_of(folder), as_file(history.records))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        read = len(session.view.turns)
        history.undo()
        await store.append(session, history.records[-1])

        assert read < SEEN_MESSAGES + 100
        assert len(session.view.live_turns) == SEEN_MESSAGES + 250
        assert session.view.live_turns == history.view.live_turns
        assert session.view.summary == history.view.summary


async def test_a_torn_last_line_is_closed_before_the_next_record(files: FakeDisk, folder: Path) -> None:
    whole = as_file(numbered(SessionHeader(version=1, key=KEY), user("m1"), user("m2")))
    path_of(folder).write_bytes(whole[:-5])
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m3"))
        await store.append(session, user("m4"))

    assert path_of(folder).read_bytes().startswith(whole[:-5] + b"\n{")
    assert list(session.view.pending) == [1, 2, 3]
    assert session.view.damaged_lines == 1


async def test_a_file_of_an_older_format_goes_on_under_its_own_name(files: FakeDisk, folder: Path) -> None:
    path_of(folder).write_bytes(b'{"role":"user","content":"a"}\n{"role":"assistant","content":"A"}\n')
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        [record] = await store.append(session, user("m"))

        assert keys_of(files, folder) == [KEY]
    assert record.seq == 2
    assert [len(session.view.turns), len(session.view.pending)] == [1, 1]


async def test_a_store_on_files_makes_its_folder_private(tmp_path: Path) -> None:
    folder = tmp_path / "workspace" / "sessions"
    mask = os.umask(0)
    try:
        async with open_store(folder, start_clock) as store:
            await store.append(await store.open(KEY), user("m"))
    finally:
        os.umask(mask)

    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path_of(folder).stat().st_mode) == 0o600


async def test_a_store_that_may_not_persist_leaves_nothing_behind(tmp_path: Path) -> None:
    async with open_store(tmp_path / "sessions", start_clock, persistent=False) as store:
        session = await store.open(KEY)
        await store.append(session, user("m"))

        assert await store.unfinished() == [KEY]
        assert await store.open(KEY) is session
    assert os.listdir(tmp_path) == []


async def test_a_file_in_the_folders_place_is_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "sessions").write_text("")

    with pytest.raises(StorageError, match="set workspace"):
        async with open_store(tmp_path / "sessions", start_clock):
            pass

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from agentd.errors import StorageError
from agentd.transcript.store import SessionStore
from agentd.transcript.view import Transcript
from tests.fakes.disk import FakeDisk
from tests.flow.stage import daemon
from tests.unit.agentd.transcript.building import KEY, OTHER_KEY, answer, sent, user
from tests.unit.agentd.transcript.stores import keys_of, opened, path_of, records_of, texts_of, waiting_texts

ASIDE = f"{KEY.file_name}.jsonl.aside-20260101T120000Z"
OF_ONE_FILE = [errno.EIO, errno.EACCES, errno.EPERM]


def others(folder: Path) -> list[str]:
    """Return the names in the folder that are no session's."""
    return sorted(set(os.listdir(folder)) - {path_of(folder).name, path_of(folder, OTHER_KEY).name})


@pytest.mark.parametrize("code", OF_ONE_FILE)
async def test_an_append_that_one_file_refuses_goes_on_in_its_copy(files: FakeDisk, folder: Path, code: int) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        before = session.path.read_bytes()
        inode = session.path.stat().st_ino
        files.fail_next(session.path, code)
        [record] = await store.append(session, user("m2"))

        assert (record.seq, session.set_aside) == (2, None)
        assert waiting_texts(session.view) == ["text of m1", "text of m2"]
        assert await store.unfinished() == [KEY]
    assert texts_of(files, folder) == ["text of m1", "text of m2"]
    assert session.path.read_bytes().startswith(before)
    assert session.path.stat().st_ino != inode
    assert others(folder) == [ASIDE]
    assert (folder / ASIDE).read_bytes() == before


async def test_on_a_disk_that_forgets_it_is_the_same(disk: FakeDisk, folder: Path) -> None:
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        disk.fail_next(session.path, errno.EIO)
        await store.append(session, user("m2"))

    assert texts_of(disk, folder) == ["text of m1", "text of m2"]


@pytest.mark.parametrize("leaves", [1, 60, 10_000])
async def test_what_a_failed_append_left_is_no_part_of_what_goes_on(files: FakeDisk, folder: Path, leaves: int) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        files.fail_next(session.path, errno.EIO, leaves=leaves)
        await store.append(session, user("m2"))

    assert texts_of(files, folder) == ["text of m1", "text of m2"]


async def test_a_file_is_not_set_aside_twice_for_one_append(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        files.fail_next(session.path, errno.EIO, times=4)
        for _ in range(3):
            with pytest.raises(StorageError, match="Input/output error"):
                await store.append(session, user("lost"))
        await store.append(session, user("m2"))
        first = others(folder)
        files.fail_next(session.path, errno.EIO)
        await store.append(session, user("m3"))

    assert first == [ASIDE]
    assert others(folder) == [ASIDE, f"{ASIDE}-2"]
    assert texts_of(files, folder) == ["text of m1", "text of m2", "text of m3"]


@pytest.mark.parametrize("code", OF_ONE_FILE)
async def test_where_nothing_can_be_set_aside_the_append_is_refused_as_ever(
    files: FakeDisk, folder: Path, code: int
) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        files.fail_next(session.path, code)
        files.fail_next_aside(errno.EACCES)
        with pytest.raises(StorageError, match=os.strerror(code)):
            await store.append(session, user("lost"))
        await store.append(session, user("m2"))

    assert others(folder) == []
    assert texts_of(files, folder) == ["text of m1", "text of m2"]


async def test_a_new_file_that_cannot_be_flushed_leaves_nothing_behind(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        files.fail_next(session.path, errno.EIO)
        with pytest.raises(StorageError):
            await store.append(session, user("lost"))
        await store.append(session, user("m1"))

    assert others(folder) == []
    assert texts_of(files, folder) == ["text of m1"]


async def test_what_waits_is_not_forgotten_for_the_sake_of_a_fresh_file(files: FakeDisk, folder: Path) -> None:
    """Nor does a turn write the end of a message into a file that does not have it."""
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        session.path.rename(folder / "kept.old")
        session.path.mkdir()
        for record in (answer(1), user("m2")):
            with pytest.raises(StorageError, match="directory"):
                await store.append(session, record)
        session.path.rmdir()
        (folder / "kept.old").rename(session.path)
        await store.append(session, answer(1))

    assert others(folder) == []
    assert len(records_of(files, folder)) == 2


async def test_an_append_whose_file_became_a_folder_begins_anew_and_says_where_the_old_one_is(
    files: FakeDisk, folder: Path
) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"), answer(1), sent(2))
        session.path.rename(folder / "kept.old")
        session.path.mkdir()
        (session.path / "inside").write_text("x")
        [record] = await store.append(session, user("m2"))

        assert session.set_aside == folder / ASIDE
        assert (record.seq, waiting_texts(session.view)) == (1, ["text of m2"])
    assert (folder / ASIDE / "inside").read_text() == "x"
    assert texts_of(files, folder) == ["text of m2"]


def place(kind: str, path: Path, tmp_path: Path) -> None:
    """Put something else under a session's name."""
    match kind:
        case "a link":
            (tmp_path / "target").write_bytes(b"somebody's")
            path.symlink_to(tmp_path / "target")
        case "a link to nothing":
            path.symlink_to(tmp_path / "nothing")
        case "a folder":
            path.mkdir()
        case "a pipe":
            os.mkfifo(path)
        case _:
            shutil.copy(path_of(path.parent, OTHER_KEY), path)


KINDS = ["a link", "a link to nothing", "a folder", "a pipe", "another session"]


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_no_file_of_the_session_is_set_aside_when_it_is_opened(
    files: FakeDisk, folder: Path, tmp_path: Path, kind: str
) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(OTHER_KEY), user("a secret"))
    before = path_of(folder, OTHER_KEY).read_bytes()
    place(kind, path_of(folder), tmp_path)
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        empty = session.view == Transcript(key=KEY)
        await store.append(session, user("m1"))

        assert empty
        assert session.set_aside == folder / ASIDE
        assert set(keys_of(files, folder)) == {KEY, OTHER_KEY}
    assert others(folder) == [ASIDE]
    assert texts_of(files, folder) == ["text of m1"]
    assert path_of(folder, OTHER_KEY).read_bytes() == before
    assert sorted(os.listdir(tmp_path)) == ["sessions", "target"] if kind == "a link" else ["sessions"]
    if kind == "a link":
        assert (tmp_path / "target").read_bytes() == b"somebody's"


@pytest.mark.parametrize("kind", KINDS[:-1])
async def test_and_when_it_is_found_by_an_append(files: FakeDisk, folder: Path, tmp_path: Path, kind: str) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        place(kind, session.path, tmp_path)
        await store.append(session, user("m1"))

        assert session.set_aside == folder / ASIDE
    assert texts_of(files, folder) == ["text of m1"]
    assert not (tmp_path / "nothing").exists()


async def test_a_file_of_which_no_byte_can_be_read_is_set_aside_as_it_is(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("m1"))
    before = path_of(folder).read_bytes()
    files.fail_start(path_of(folder), errno.EIO)
    async with opened(files, folder) as store:
        session = await store.open(KEY)

        assert (session.set_aside, session.view) == (folder / ASIDE, Transcript(key=KEY))
    assert (folder / ASIDE).read_bytes() == before


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EROFS])
async def test_a_fault_of_more_than_one_file_sets_none_aside(files: FakeDisk, folder: Path, code: int) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("m1"))
    files.fail_start(path_of(folder), code)
    async with opened(files, folder) as store:
        with pytest.raises(StorageError, match=re.escape(os.strerror(code))):
            await store.open(KEY)

    assert others(folder) == []


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENOMEM])
async def test_nor_does_one_that_comes_when_it_is_tried_again(files: FakeDisk, folder: Path, code: int) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(KEY), user("m1"))
    files.fail_reading(path_of(folder), errno.EIO, code)
    async with opened(files, folder) as store:
        with pytest.raises(StorageError):
            await store.open(KEY)
        left = others(folder)
        session = await store.open(KEY)

        assert waiting_texts(session.view) == ["text of m1"]
    assert left == []


async def test_who_opens_a_broken_file_at_the_same_time_gets_one_fresh_session(files: FakeDisk, folder: Path) -> None:
    path_of(folder).mkdir()
    async with opened(files, folder) as store:
        one, other = await store.open(KEY), await store.open(KEY)
        await append_both(store, one is other)

    assert others(folder) == [ASIDE]


async def append_both(store: SessionStore, same: bool) -> None:
    assert same
    await store.append(await store.open(KEY), user("m"))


async def test_a_file_that_nobody_may_change_is_refused_and_kept(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.append(session, user("m1"))
        if not change_attribute("+i", session.path):
            pytest.skip("this file system or user has no immutable files")
        try:
            with pytest.raises(StorageError, match="not permitted"):
                await store.append(session, user("lost"))
        finally:
            change_attribute("-i", session.path)
        await store.append(session, user("m2"))

    assert texts_of(files, folder) == ["text of m1", "text of m2"]
    assert [record.seq for record in records_of(files, folder)] == [1, 2]
    assert others(folder) == []


def change_attribute(change: str, path: Path) -> bool:
    """Make a file immutable, or mutable again; tell whether that is possible here."""
    return shutil.which("chattr") is not None and subprocess.run(["chattr", change, path], check=False).returncode == 0


async def test_a_chat_whose_file_is_broken_goes_on_and_so_do_the_others(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("one")
        path = stage.folder / "fake~bot~dm~~ada.jsonl"
        path.unlink()
        path.mkdir()
        await stage.say("two")
        await stage.say("three", sender="bob")

        assert [record.get("content") for record in stage.records() if record.get("role") == "user"] == ["two"]
        assert stage.channel.texts[0] == "ok"
        assert "It is kept as fake~bot~dm~~ada.jsonl.aside-" in stage.channel.texts[1]
        assert stage.channel.texts[2:] == ["ok", "ok"]

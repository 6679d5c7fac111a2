"""These tests check the search for unfinished sessions when a file cannot be read."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.transcript.key import SessionKey
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import KEY, OTHER_KEY, answer, sent, user
from tests.unit.agentd.transcript.stores import opened, path_of

LONG_KEY = SessionKey("fake", "bot", "c" * 300)
"""One that its file's name does not hold."""


async def settle(disk: FakeDisk, folder: Path, key: SessionKey) -> None:
    async with opened(disk, folder) as store:
        await store.append(await store.open(key), user("m"), answer(1), sent(2))


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
async def test_a_fault_that_passes_hides_nothing_and_is_no_work(disk: FakeDisk, folder: Path, code: int) -> None:
    await settle(disk, folder, OTHER_KEY)
    async with opened(disk, folder) as store:
        await store.append(await store.open(KEY), user("m"))
    for key in (KEY, OTHER_KEY):
        disk.fail_reading(path_of(folder, key), code)
    async with opened(disk, folder) as store:
        with capture_logs() as logs:
            found = await store.unfinished()

    assert found == [KEY]
    assert logs == []


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
async def test_what_cannot_be_read_may_be_unfinished(disk: FakeDisk, folder: Path, code: int) -> None:
    await settle(disk, folder, KEY)
    disk.fail_start(path_of(folder), code)
    async with opened(disk, folder) as store:
        with capture_logs() as logs:
            found = await store.unfinished()

    assert found == [KEY]
    assert [(log["event"], log["log_level"], log["session"]) for log in logs] == [
        ("session_not_readable", "error", KEY.file_name)
    ]


async def test_an_unreadable_file_whose_name_holds_no_key_is_named_in_the_log(disk: FakeDisk, folder: Path) -> None:
    await settle(disk, folder, LONG_KEY)
    disk.fail_start(path_of(folder, LONG_KEY), errno.EIO)
    async with opened(disk, folder) as store:
        with capture_logs() as logs:
            found = await store.unfinished()

    assert found == []
    assert [(log["log_level"], log["session"]) for log in logs] == [("error", LONG_KEY.file_name)]


async def test_a_file_whose_key_is_lost_is_named_in_the_log_as_an_error(files: FakeDisk, folder: Path) -> None:
    async with opened(files, folder) as store:
        await store.append(await store.open(LONG_KEY), user("m"))
    path = path_of(folder, LONG_KEY)
    path.write_bytes(b"x" + path.read_bytes()[1:])
    async with opened(files, folder) as store:
        with capture_logs() as logs:
            found = await store.unfinished()

    assert found == []
    assert [(log["event"], log["log_level"], log["file"]) for log in logs] == [
        ("session_not_known", "error", path.name)
    ]

"""These tests check when people were last heard in each session of a channel."""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace
from structlog.testing import capture_logs

from agentd.transcript.key import SessionKey
from agentd.transcript.records import Record, UserMessage
from tests.fakes.disk import FakeDisk
from tests.unit.agentd.transcript.building import KEY, OTHER_KEY, answer, sent, user
from tests.unit.agentd.transcript.stores import opened, path_of

LONG_KEY = SessionKey(KEY.channel, "bot", "c" * 300)
"""One that its file's name does not hold."""
ELSEWHERE = replace(KEY, channel=f"{KEY.channel}2")


def user_at(message_id: str, sent_at: str) -> UserMessage:
    message = user(message_id)
    assert message.source is not None
    return replace(message, source=replace(message.source, sent_at=sent_at))


async def write(disk: FakeDisk, folder: Path, key: SessionKey, *records: Record) -> None:
    async with opened(disk, folder) as store:
        await store.append(await store.open(key), *records)


async def test_the_newest_message_counts_whatever_stands_after_it(disk: FakeDisk, folder: Path) -> None:
    older, newer = user_at("a", "2026-11-24T10:00:00.000Z"), user_at("b", "2026-11-24T10:00:01.500Z")
    long = replace(answer(2), content="long " * 30_000)
    await write(disk, folder, KEY, older, newer, long, sent(3))
    async with opened(disk, folder) as store:
        assert await store.heard(KEY.channel) == [(KEY, datetime(2026, 11, 24, 10, 0, 1, 500_000, UTC))]


async def test_each_session_of_the_channel_and_none_of_another(disk: FakeDisk, folder: Path) -> None:
    for key in (KEY, LONG_KEY, ELSEWHERE):
        await write(disk, folder, key, user_at("a", "2026-11-24T10:00:00.000Z"))
    async with opened(disk, folder) as store:
        assert {heard.key for heard in await store.heard(KEY.channel)} == {KEY, LONG_KEY}


async def test_a_file_that_cannot_be_read_is_named_and_the_others_are_told(disk: FakeDisk, folder: Path) -> None:
    for key in (KEY, OTHER_KEY):
        await write(disk, folder, key, user_at("a", "2026-11-24T10:00:00.000Z"))
    disk.fail_reading(path_of(folder), errno.EIO)
    async with opened(disk, folder) as store:
        with capture_logs() as logs:
            found = await store.heard(KEY.channel)

    assert [heard.key for heard in found] == [OTHER_KEY]
    assert [(log["event"], log["session"]) for log in logs] == [("session_not_readable", KEY.file_name)]


async def test_a_session_in_which_nobody_was_heard_is_left_out(disk: FakeDisk, folder: Path) -> None:
    await write(disk, folder, KEY, UserMessage(content="history without a source"))
    async with opened(disk, folder) as store:
        assert await store.heard(KEY.channel) == []

"""These tests check session files that cannot be read, all or in part: nobody's message waits unnoticed."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentd.transcript.file_disk import FileDisk
from tests.fakes.channel import FakeChannel
from tests.fakes.disk import FakeDisk
from tests.fakes.provider import FakeProvider
from tests.flow.stage import daemon, until

FILE = "sessions/fake~bot~dm~~ada.jsonl"


class BadStart(FakeDisk):
    """A disk on which no line can be read that begins in this many first bytes of a file."""

    size = 0

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines behind them."""
        for line in super().lines_backwards(path, end):
            if end - len(line) < self.size:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path.name)
            end -= len(line) + 1
            yield line


@pytest.fixture
def disk() -> Iterator[BadStart]:
    with ThreadPoolExecutor(2) as flushers:
        yield BadStart(FileDisk(flushers))


@pytest.fixture
async def pending(tmp_path: Path) -> Path:
    """Return a workspace that a run left with a message unanswered."""
    provider = FakeProvider()
    provider.enqueue(asyncio.Event())
    async with daemon(tmp_path, provider=provider, drain_seconds=0.05) as stage:
        await stage.post("one")
        await provider.asked.wait()
    return tmp_path


async def test_a_conversation_whose_old_part_cannot_be_read_goes_on(tmp_path: Path, disk: BadStart) -> None:
    async with daemon(tmp_path) as stage:
        for number in range(5):
            await stage.say(f"m{number}")
        await stage.say("/new")
        await stage.say("before")
    disk.size = 600
    async with daemon(tmp_path, disk=disk) as stage:
        await stage.say("after")

        assert stage.channel.texts == ["ok"]
        assert [text for role, text in stage.prompt() if role == "user"] == ["before", "after"]


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE])
async def test_a_message_is_answered_before_the_daemon_is_ready_though_its_file_could_not_be_read_once(
    pending: Path, disk: BadStart, code: int
) -> None:
    disk.fail_reading(pending / FILE, code)
    async with daemon(pending, disk=disk) as stage:
        assert stage.channel.texts == ["ok"]


async def test_whose_file_cannot_be_read_at_the_start_is_told_without_writing_first(
    pending: Path, disk: BadStart
) -> None:
    disk.fail_start(pending / FILE, errno.EIO)
    channel = FakeChannel()
    async with daemon(pending, disk=disk, channel=channel):
        await until(lambda: bool(channel.texts))

    assert "It is kept as fake~bot~dm~~ada.jsonl.aside-" in channel.texts[0]


async def test_others_do_not_wait_for_a_file_that_no_session_can_be_opened_on(pending: Path, disk: BadStart) -> None:
    disk.fail_start(pending / FILE, errno.EMFILE)
    async with daemon(pending, disk=disk) as stage:
        await stage.say("two", sender="bob")
        others = list(stage.channel.texts)
        disk.heal()
        await stage.say("three")

        assert others == ["ok"]
        assert [request.messages[-1].content.split("\n")[0] for request in stage.provider.requests][1:] == [
            "one",
            "three",
        ]

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.errors import StorageError
from agentd.transcript.records import Record, SessionHeader, Undo, UserMessage, encode_line
from agentd.transcript.seen import SEEN_MESSAGES
from tests.fakes.disk import FakeDisk
from tests.flow.stage import daemon
from tests.unit.agentd.transcript.building import KEY, START, History, as_file, put, source, user
from tests.unit.agentd.transcript.stores import opened, path_of, reached, texts_of

OLD = 100
"""Messages that came before the reset."""


def past(*, reset: bool = True, compacted: bool = False) -> History:
    history = History()
    for _ in range(OLD):
        history.say()
        history.reply()
    if reset:
        history.reset()
    if compacted:
        history.compact(keep=1)
    history.say()
    history.reply()
    return history


async def test_opening_reads_the_live_part_and_ids_are_read_when_they_are_needed(disk: FakeDisk, folder: Path) -> None:
    history = past()
    put(disk, path_of(folder), as_file(history.records))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        read = disk.lines_read
        before = session.view.knows("chat", "m1")
        await store.read_ids(session)
        read_then = disk.lines_read
        await store.read_ids(session)

        assert read < 10
        assert before is None
        assert session.view.seen == history.view.seen
        assert session.view.knows("chat", "m1") == 1
        assert OLD < read_then == disk.lines_read


async def test_what_is_appended_while_ids_are_read_is_known_too(disk: FakeDisk, folder: Path) -> None:
    history = past()
    put(disk, path_of(folder), as_file(history.records))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        gate = disk.hold_lines()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(store.read_ids(session))
            await reached(gate)
            [added] = await store.append(session, user("new"))
            gate.opened.set()
            await reading

        assert session.view.knows("chat", "m1") == 1
        assert session.view.knows("chat", "new") == added.seq
        assert list(session.view.seen)[-1][:2] == ("chat", "new")


async def test_ids_are_read_again_where_the_file_was_read_anew_meanwhile(disk: FakeDisk, folder: Path) -> None:
    history = past(reset=False, compacted=True)
    put(disk, path_of(folder), as_file(history.records))
    assert history.view.summary
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        gate = disk.hold_lines()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(store.read_ids(session))
            await reached(gate)
            await store.append(session, Undo(of=history.view.summary.seq))
            gate.opened.set()
            await reading

        assert session.older is None
        assert session.view.seen == history.view.seen
        assert len(session.view.live_turns) == OLD + 1


async def test_ids_of_what_was_live_and_is_older_now_are_read(files: FakeDisk, folder: Path) -> None:
    """While the ids are read, somebody else adds a reset: the live part begins behind it."""
    history = past()
    path_of(folder).write_bytes(as_file(history.records))
    written = len(history.records)
    history.reset()
    history.say()
    history.reply()
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        gate = files.hold_lines()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(store.read_ids(session))
            await reached(gate)
            with session.path.open("ab") as file:
                file.write(as_file(history.records[written:]))
            with pytest.raises(StorageError, match="changed by somebody else"):
                await store.append(session, user("lost"))
            gate.opened.set()
            await reading

        assert session.view.seen == history.view.seen


async def test_a_file_that_somebody_else_changed_loses_no_ids(files: FakeDisk, folder: Path) -> None:
    history = past()
    path_of(folder).write_bytes(as_file(history.records))
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        await store.read_ids(session)
        with session.path.open("ab") as file:
            file.write(encode_line(user("foreign", seq=len(history.records))))
        with pytest.raises(StorageError, match="changed by somebody else"):
            await store.append(session, user("lost"))
        await store.read_ids(session)

        assert session.view.knows("chat", "m1") == 1
        assert session.view.knows("chat", "foreign") == len(history.records)


async def test_a_fault_of_more_than_the_file_is_told_and_ids_are_read_the_next_time(
    disk: FakeDisk, folder: Path
) -> None:
    history = past()
    put(disk, path_of(folder), as_file(history.records))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        disk.fail_start(session.path, errno.EMFILE)
        with pytest.raises(StorageError, match="Too many open files"):
            await store.read_ids(session)
        disk.heal()
        await store.read_ids(session)

        assert session.view.knows("chat", "m1") == 1


async def test_a_fault_that_passes_costs_no_id(disk: FakeDisk, folder: Path) -> None:
    history = past()
    put(disk, path_of(folder), as_file(history.records))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        disk.fail_reading(session.path, errno.EIO)
        await store.read_ids(session)

        assert session.view.seen == history.view.seen


class BadBlock(FakeDisk):
    """A disk on which nothing can be read that stands before this byte."""

    end = 0

    def lines_backwards(self, path: Path, end: int) -> Iterator[bytes]:
        """Yield the lines after it."""
        for line in super().lines_backwards(path, end):
            if end - len(line) < self.end:
                raise OSError(errno.EIO, os.strerror(errno.EIO), path.name)
            end -= len(line) + 1
            yield line


async def test_a_block_that_cannot_be_read_costs_the_ids_in_it_and_before_it_and_no_more(
    files: FakeDisk, folder: Path
) -> None:
    history = past()
    half = len(as_file(history.records[: OLD + 1]))
    put(files, path_of(folder), as_file(history.records))
    disk = BadBlock(files)
    disk.end = half
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        with capture_logs() as logs:
            for _ in range(2):
                await store.read_ids(session)
        await store.append(session, user("new"))
        known = {seq for _, _, seq in history.view.seen if seq > OLD + 1}

        assert {seq for _, _, seq in session.view.seen} == {*known, len(history.records)}
        assert [(log["event"], log["log_level"]) for log in logs] == [("older_messages_not_readable", "error")]
        assert known


async def test_a_session_whose_file_was_moved_away_before_ids_were_read_begins_anew(
    files: FakeDisk, folder: Path
) -> None:
    put(files, path_of(folder), as_file(past().records))
    async with opened(files, folder) as store:
        session = await store.open(KEY)
        session.path.rename(folder / "moved")
        with pytest.raises(StorageError, match="changed by somebody else"):
            await store.read_ids(session)
        await store.read_ids(session)
        await store.append(session, user("m1"))

    assert texts_of(files, folder) == ["text of m1"]


def written_at(moments: list[datetime], zone: timezone) -> bytes:
    """Return a settled session of messages that came at these times, as that zone writes them, then a reset."""
    history: list[Record] = [SessionHeader(version=1, key=KEY, seq=0)]
    for seq, moment in enumerate(moments, 1):
        ts = moment.astimezone(zone).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        history.append(UserMessage(content="x", source=source(f"m{seq}"), seq=seq, ts=ts))
    end = past()
    tail = [encode_line(record) for record in end.records[-4:]]
    return as_file(history) + b"".join(tail)


@pytest.mark.parametrize("hours", [0, 2, -7])
async def test_ids_reach_back_a_day_and_two_thousand_messages_whatever_the_zone(
    disk: FakeDisk, folder: Path, hours: int
) -> None:
    count = SEEN_MESSAGES + 500
    begin = START - timedelta(minutes=count)
    moments = [begin + timedelta(minutes=number) for number in range(count)]
    put(disk, path_of(folder), written_at(moments, timezone(timedelta(hours=hours)) if hours else UTC))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await store.read_ids(session)
        known = [number for number in range(1, count + 1) if session.view.knows("chat", f"m{number}")]

        assert SEEN_MESSAGES - 3 <= len(known) <= SEEN_MESSAGES
        assert known[-1] == count


async def test_a_busy_day_is_remembered_whole(disk: FakeDisk, folder: Path) -> None:
    count = SEEN_MESSAGES + 500
    moments = [START - timedelta(seconds=30) * (count - number) for number in range(count)]
    put(disk, path_of(folder), written_at(moments, UTC))
    async with opened(disk, folder) as store:
        session = await store.open(KEY)
        await store.read_ids(session)

        assert all(session.view.knows("chat", f"m{number}") for number in range(1, count + 1))


async def test_a_message_that_comes_again_after_a_reset_and_a_restart_is_not_answered_again(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        for number in range(3):
            await stage.say("one", message_id=f"id {number}")
        await stage.say("/new")
        await stage.say("two")
    async with daemon(tmp_path) as stage:
        before = stage.records()
        for number in range(3):
            await stage.say("one", message_id=f"id {number}")

        assert stage.records() == before
        assert stage.provider.requests == []

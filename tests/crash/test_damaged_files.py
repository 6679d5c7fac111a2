"""These tests cut a session file with every record type at every byte, or add garbage: the daemon goes on with it."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from agentd.transcript.file_disk import FileDisk, System
from agentd.transcript.lines import MAX_LINE_BYTES
from agentd.transcript.records import AssistantMessage, Damaged, Delivery, Failure, Record, Unknown, parse_line
from agentd.transcript.view import Transcript, fold
from tests.flow.stage import daemon
from tests.unit.agentd.transcript.building import KEY
from tests.unit.agentd.transcript.damage import as_bytes, damaged, whole

SHARES = 4
"""The cuts are shared out among so many tests, that they may run side by side."""


class _Unflushed:
    """The module `os`, without the wait for a flush: what is looked at here is what stands in the file."""

    def fsync(self, fd: int) -> None:
        """Do nothing."""

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        import os

        return getattr(os, name)


@pytest.fixture
def disk() -> Iterator[FileDisk]:
    with ThreadPoolExecutor(1) as flushers:
        yield FileDisk(flushers, cast("System", _Unflushed()))


def parsed(content: bytes) -> list[Record | Damaged | Unknown]:
    return [parse_line(line) for line in content.split(b"\n") if line.strip()]


async def run_on(content: bytes, folder: Path, disk: FileDisk) -> bytes:
    """Let a daemon start on a workspace with this one file, and return what the file is after it."""
    path = folder / "sessions" / f"{KEY.file_name}.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    async with daemon(folder, disk=disk):
        pass
    after = path.read_bytes()
    shutil.rmtree(folder)
    return after


def faults_of(before: bytes, after: bytes) -> list[str]:
    """Say what is wrong with what a daemon made of a file: it may only have ended what had no end, once."""
    if not after.startswith(before):
        return ["earlier bytes have changed"]
    was, now = fold(parsed(before)), fold(parsed(after))
    new = parsed(after)[len(parsed(before)) :]
    found = [] if now.is_idle else [f"left: {now.unsettled}"]
    seqs = [record.seq for record in new]
    if seqs != list(range(was.next_seq, was.next_seq + len(new))):
        found.append(f"new seqs are {seqs} after {was.next_seq}")
    ends, deliveries = _ends_and_deliveries(new)
    if ends != Counter(_unended(was)):
        found.append(f"ends of {dict(ends)}, where {_unended(was)} had none")
    told = {*was.undelivered, *(record.seq for record in new if isinstance(record, AssistantMessage | Failure))}
    if set(deliveries) - set(was.commands) != told or any(count > 1 for count in deliveries.values()):
        found.append(f"deliveries of {dict(deliveries)}, where {told} had none")
    return found


def _unended(view: Transcript) -> list[int]:
    """Return what an ending must name: messages, and `/retry`; other commands are ended by their delivery."""
    return [*view.pending, *(seq for seq, command in view.commands.items() if command.name == "retry")]


def _ends_and_deliveries(new: list[Record | Damaged | Unknown]) -> tuple[Counter[int], Counter[int]]:
    ends: Counter[int] = Counter()
    deliveries: Counter[int] = Counter()
    for record in new:
        match record:
            case AssistantMessage() | Failure():
                ends.update(record.answers)
            case Delivery():
                deliveries[record.of] += 1
            case _:
                pass
    return ends, deliveries


@pytest.mark.parametrize("share", range(SHARES))
async def test_a_cut_at_any_byte_costs_the_cut_record_and_nothing_else(
    share: int, disk: FileDisk, tmp_path: Path
) -> None:
    content = as_bytes(whole())
    found: dict[int, list[str]] = {}
    for at in range(share, len(content) + 1, SHARES):
        before = content[:at]
        after = await run_on(before, tmp_path / str(at), disk)
        faults = faults_of(before, after)
        torn = before.count(b"\n") + 1
        is_torn = isinstance(parse_line(before.rpartition(b"\n")[2] or b"{}"), Damaged)
        lines = [line for line, _ in damaged(after)]
        if lines not in ([], [torn] if is_torn else []):
            faults.append(f"damage in {lines}, where {torn} was cut")
        if faults:
            found[at] = faults

    assert found == {}


def garbage() -> dict[str, bytes]:
    """Return what is no record, by its name."""
    chance = random.Random(5)  # noqa: S311 - noise
    half = whole()[1][:60]
    return {
        "noise": chance.randbytes(300).replace(b"\n", b" "),
        "zeros": bytes(4096),
        "half a record": half,
        "a record after half of one": half + whole()[2],
        "a line longer than any record": b"x" * (MAX_LINE_BYTES + 1),
        "not UTF-8": b'{"type":"message","role":"user","content":"\xff\xfe"}',
    }


@pytest.mark.parametrize("kind", garbage())
async def test_garbage_between_the_lines_hides_none_of_them(kind: str, disk: FileDisk, tmp_path: Path) -> None:
    lines = whole()[:23]  # the last of them waits for its answer
    places = (0, 1, 10, 22, 23) if kind.startswith("a line longer") else range(len(lines) + 1)
    found: dict[int, list[str]] = {}
    for at in places:
        before = as_bytes([*lines[:at], garbage()[kind], *lines[at:]])
        after = await run_on(before, tmp_path / str(at), disk)
        faults = faults_of(before, after)
        if fold(parsed(before)).pending.keys() != {22}:
            faults.append("another message waits")
        if at + 1 not in [line for line, _ in damaged(after)]:
            faults.append("the line is not named")
        if faults:
            found[at] = faults

    assert found == {}

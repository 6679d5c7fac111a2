"""These tests check repair: verify finds nothing after it, and every byte is in the file or the quarantine."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.lines import cut_lines
from agentd.transcript.records import Delivery, Erased, Failure, SessionHeader, parse_line
from agentd.transcript.repair import (
    plan_repair,
    put_in_place,
    repair_file,
    set_aside,
    write_mended,
)
from tests.unit.agentd.transcript.building import CALM, KEY, answer, user
from tests.unit.agentd.transcript.damage import DAMAGES, NAME, as_bytes, damaged, next_line, whole

NOW = "2026-02-02T12:00:00.000Z"


def put(folder: Path, content: bytes, name: str = NAME) -> Path:
    path = folder / f"{name}.jsonl"
    path.write_bytes(content)
    return path


def entries(quarantine: Path) -> list[tuple[dict[str, Any], bytes]]:
    """Read a quarantine back."""
    content, found = quarantine.read_bytes(), []
    while content:
        head, _, content = content.partition(b"\n")
        entry = json.loads(head)
        found.append((entry, content[: entry["bytes"]]))
        assert content[entry["bytes"] : entry["bytes"] + 1] == b"\n"
        content = content[entry["bytes"] + 1 :]
    return found


def is_stand_in(line: bytes) -> bool:
    """Tell whether a repair may have written this: in place of a record, or to say that something was settled."""
    match parse_line(line):
        case Failure(reason="lost") | Delivery(state="uncertain", message_ids=()):
            return True
        case record:
            return isinstance(record, Erased | SessionHeader)


def kept_lines(before: bytes, after: bytes) -> list[bytes]:
    """Return the lines of the mended file that are not new."""
    old = set(before.split(b"\n"))
    return [line for line in after.split(b"\n") if line in old or not is_stand_in(line)]


@pytest.mark.parametrize("kind", DAMAGES)
def test_after_a_repair_there_is_no_damage_and_no_byte_is_lost(kind: str, tmp_path: Path) -> None:
    content = DAMAGES[kind].do(whole())
    path = put(tmp_path, content)
    mended = repair_file(path, NOW)
    after = path.read_bytes()

    assert damaged(after) == []
    quarantine = entries(mended.quarantine) if mended.quarantine else []
    assert all(content[entry["offset"] :].startswith(lost) for entry, lost in quarantine)
    left = content
    for _, lost in reversed(quarantine):
        left = left.replace(lost, b"", 1) if left.count(lost) == 1 else cut_last(left, lost)
    assert [line for line in kept_lines(content, after) if line] == [line for line in left.split(b"\n") if line]


def cut_last(content: bytes, piece: bytes) -> bytes:
    at = content.rindex(piece)
    return content[:at] + content[at + len(piece) :]


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_second_repair_changes_nothing(kind: str, tmp_path: Path) -> None:
    path = put(tmp_path, DAMAGES[kind].do(whole()))
    repair_file(path, NOW)
    first = {found.name: found.read_bytes() for found in tmp_path.iterdir()}
    again = repair_file(path, NOW)

    assert {found.name: found.read_bytes() for found in tmp_path.iterdir()} == first
    assert again.lost == ()


def test_a_whole_file_is_not_touched(tmp_path: Path) -> None:
    path = put(tmp_path, as_bytes(whole())[:-1])
    before = path.stat()
    repair_file(path, NOW)

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert list(tmp_path.iterdir()) == [path]


def test_the_quarantine_says_where_its_bytes_stood_and_is_private(tmp_path: Path) -> None:
    lines = whole()
    offset = len(as_bytes(lines[:6]))
    lines[6] = b'{"seq":6,\x00\xff garbage'
    path = put(tmp_path, as_bytes(lines))
    mended = repair_file(path, NOW)
    assert mended.quarantine
    [(head, lost)] = entries(mended.quarantine)

    assert lost == lines[6] + b"\n"
    assert (head["offset"], head["line"], head["at"], head["file"]) == (offset, 7, NOW, path.name)
    assert stat.S_IMODE(mended.quarantine.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_record_erased_stands_for_a_lost_one_with_the_time_of_the_one_before(tmp_path: Path) -> None:
    lines = whole()
    lines[6] = b"garbage"
    path = put(tmp_path, as_bytes(lines))
    repair_file(path, NOW)

    assert parse_line(path.read_bytes().split(b"\n")[6]) == Erased(seq=6, ts="2026-01-01T12:00:05.000Z")


def test_a_lost_session_record_is_written_anew_from_the_name(tmp_path: Path) -> None:
    path = put(tmp_path, as_bytes([b"garbage", *whole()[1:]]))
    repair_file(path, NOW)
    first = parse_line(path.read_bytes().split(b"\n")[0])

    assert isinstance(first, SessionHeader)
    assert (first.key, first.seq) == (KEY, 0)


def test_a_session_record_that_nobody_knows_stays_damage_and_is_not_made_up(tmp_path: Path) -> None:
    path = put(tmp_path, as_bytes([b"garbage", *whole()[1:]]), "unknown")
    repair_file(path, NOW)
    repair_file(path, NOW)

    assert [line for line, _ in damaged(path.read_bytes(), "unknown")] == [1]
    assert len(path.read_bytes().splitlines()) == len(whole())


def test_a_nul_block_before_a_record_leaves_without_the_record(tmp_path: Path) -> None:
    lines = whole()
    path = put(tmp_path, as_bytes([*lines[:3], b"\0" * 5000 + lines[3], *lines[4:]]))
    repair_file(path, NOW)

    assert path.read_bytes() == as_bytes(lines)


def test_a_torn_tail_leaves_the_rest_as_it_was(tmp_path: Path) -> None:
    lines = whole()
    path = put(tmp_path, as_bytes(lines) + b'{"seq":28,"ts"')
    repair_file(path, NOW)

    assert path.read_bytes() == as_bytes(lines)


def test_a_file_gets_the_name_of_the_key_in_it_with_its_attachments(tmp_path: Path) -> None:
    path = put(tmp_path, as_bytes(whole()), "wrong")
    (tmp_path / "wrong.files").mkdir()
    mended = repair_file(path, NOW)

    assert mended.path == tmp_path / f"{NAME}.jsonl"
    assert sorted(found.name for found in tmp_path.iterdir()) == [f"{NAME}.files", f"{NAME}.jsonl"]
    assert damaged(mended.path.read_bytes()) == []


def test_a_name_that_is_taken_is_left_to_its_owner(tmp_path: Path) -> None:
    put(tmp_path, as_bytes(whole()[:2]))
    path = put(tmp_path, as_bytes(whole()), "wrong")

    assert repair_file(path, NOW).path == path
    assert (tmp_path / f"{NAME}.jsonl").read_bytes() == as_bytes(whole()[:2])


@pytest.mark.parametrize("steps", range(4))
def test_a_repair_that_is_cut_between_two_steps_leaves_the_old_file_or_the_new(steps: int, tmp_path: Path) -> None:
    content = as_bytes([*whole()[:6], b"garbage", *whole()[7:]])
    path = put(tmp_path, content)
    cut_repair(path, steps)
    old = path.read_bytes()
    repair_file(path, NOW)

    assert old == content if steps < 3 else damaged(old) == []
    assert damaged(path.read_bytes()) == []
    assert b"garbage\n" in [lost for _, lost in entries(path.with_name(f"{path.name}.quarantine"))]
    assert not path.with_name(f"{path.name}.mended").exists()


def cut_repair(path: Path, steps: int) -> None:
    plan = plan_repair(path, NOW)
    if steps > 0:
        set_aside(path, plan, NOW)
    if steps > 1:
        mended = write_mended(path, plan)
        if steps > 2:
            put_in_place(mended, path)


def test_a_link_in_place_of_the_quarantine_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"")
    path = put(tmp_path, as_bytes([*whole(), b"garbage"]))
    os.symlink(outside, path.with_name(f"{path.name}.quarantine"))

    with pytest.raises(OSError, match="symbolic"):
        repair_file(path, NOW)
    assert outside.read_bytes() == b""
    assert path.read_bytes() == as_bytes([*whole(), b"garbage"])


@CALM
@given(
    st.lists(
        st.tuples(
            st.integers(0, 4200),
            st.integers(0, 200),
            st.binary(max_size=30) | st.sampled_from([b"\n", b"\0" * 50, b"\n#\n", b'{"role":"user","content":"x"}\n']),
        ),
        max_size=4,
    )
)
def test_whatever_happened_to_a_file_repair_makes_it_whole_or_says_so(wounds: list[tuple[int, int, bytes]]) -> None:
    content = as_bytes(whole())
    for at, length, instead in wounds:
        content = content[:at] + instead + content[at + length :]
    with tempfile.TemporaryDirectory() as folder:
        path = put(Path(folder), content)
        before = {line.content for line in cut_lines([content])}
        mended = repair_file(path, NOW)
        after = mended.path.read_bytes()
        kept = after + b"\n" + (mended.quarantine.read_bytes() if mended.quarantine else b"")

    assert damaged(after, mended.path.stem) == []
    assert all(line is not None and line.strip(b"\0") in kept for line in before)


def test_a_message_whose_answer_is_lost_waits_again(tmp_path: Path) -> None:
    lines = whole()
    lines.append(next_line(lines, user("f")))
    lines.append(next_line(lines, answer(28)))
    path = put(tmp_path, as_bytes(lines)[:-4])
    repair_file(path, NOW)

    assert path.read_bytes() == as_bytes(lines[:-1])

"""These tests check import: files of two other agents come in whole, with their times, and are not answered."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from agentd.transcript.clock import format_time
from agentd.transcript.foreign import ForeignFile, KeyParts, derive_key
from agentd.transcript.importing import build_session, find_key_text, write_session
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import MAX_LINE_BYTES, cut_lines, read_lines
from agentd.transcript.records import AssistantMessage, UserMessage, parse_line
from agentd.transcript.verify import verify
from agentd.transcript.view import fold

NOW = "2026-02-02T12:00:00.000Z"
KEY = SessionKey("telegram", "bot", "42", None, "42")

ZEROCLAW: list[dict[str, Any]] = [
    {"role": "system", "content": "You are a helpful assistant."},
    {"role": "user", "content": "My name is Ada."},
    {"role": "assistant", "content": "Hello, Ada."},
    {"role": "user", "content": '日本語 "quoted"\n\u0000'},
    {"role": "user", "content": "Are you there?"},
]

NANOBOT: list[dict[str, Any]] = [
    {
        "_type": "metadata",
        "key": "telegram:42",
        "created_at": "2026-01-01T10:00:00",
        "updated_at": "2026-01-01T10:05:00",
        "metadata": {},
        "last_consolidated": 0,
    },
    {"role": "user", "content": "What is the weather?", "timestamp": "2026-01-01T10:00:00+02:00"},
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}], "timestamp": "2026-01-01T10:00:01+02:00"},
    {"role": "tool", "tool_call_id": "1", "name": "web", "content": "rain", "timestamp": "2026-01-01T10:00:02+02:00"},
    {"role": "assistant", "content": "Rain.", "timestamp": "2026-01-01T10:00:03.123456+02:00", "tools_used": ["web"]},
    {
        "role": "user",
        "content": [{"type": "text", "text": "Look:"}, {"type": "image_url", "image_url": {"url": "data:"}}],
        "timestamp": "2026-01-01T10:01:00+02:00",
    },
]


def as_file(items: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in items)


def built(content: bytes) -> tuple[list[bytes], ForeignFile]:
    foreign = ForeignFile()
    return list(build_session(cut_lines([content]), KEY, NOW, foreign)), foreign


def spoken(lines: list[bytes]) -> list[tuple[str, str, str]]:
    records = [parse_line(line) for line in lines]
    return [(r.role, r.content, r.ts) for r in records if isinstance(r, UserMessage | AssistantMessage)]


def test_a_file_of_zeroclaw_comes_in_with_every_message() -> None:
    lines, foreign = built(as_file(ZEROCLAW))

    assert [(role, text) for role, text, _ in spoken(lines)] == [
        (item["role"], item["content"]) for item in ZEROCLAW[1:]
    ]
    assert (foreign.users, foreign.assistants) == (3, 1)
    assert dict(foreign.left_out) == {"system messages": 1}


def test_a_file_of_nanobot_comes_in_with_every_message_and_its_time() -> None:
    lines, foreign = built(as_file(NANOBOT))

    assert spoken(lines) == [
        ("user", "What is the weather?", "2026-01-01T08:00:00.000Z"),
        ("assistant", "Rain.", "2026-01-01T08:00:03.123Z"),
        ("user", "Look:\n[image]", "2026-01-01T08:01:00.000Z"),
    ]
    assert dict(foreign.left_out) == {"metadata lines": 1, "tool calls without text": 1, "tool messages": 1}


def test_a_time_without_a_zone_is_local() -> None:
    lines, _ = built(as_file([{"role": "user", "content": "hi", "timestamp": "2026-01-01T10:00:00.5"}]))

    assert spoken(lines)[0][2] == format_time(datetime(2026, 1, 1, 10, 0, 0, 500_000).astimezone())


def test_an_imported_file_is_without_damage_and_nothing_in_it_waits() -> None:
    for source in (ZEROCLAW, NANOBOT):
        lines, _ = built(as_file(source))
        view = fold(map(parse_line, lines))

        assert list(verify(KEY.file_name, lambda lines=lines: cut_lines(lines))) == []  # type: ignore[misc]
        assert view.is_idle
        assert view.key == KEY


@pytest.mark.parametrize(
    "line",
    [
        b"garbage",
        b'{"role":"user","content":7}',
        b"\xff\xfe",
        b"[1]",
        b"[" * 100_000,
        b'{"role":"user","content":"' + b"x",
    ],
)
def test_a_line_that_cannot_be_read_is_counted_and_hides_nothing(line: bytes) -> None:
    lines, foreign = built(line + b"\n" + as_file(ZEROCLAW[1:3]))

    assert len(spoken(lines)) == 2
    assert dict(foreign.left_out) == {"lines that cannot be read": 1}


def test_a_time_that_is_none_is_replaced_by_the_one_before() -> None:
    items = [dict(item) for item in NANOBOT]
    items[4]["timestamp"] = "yesterday"
    lines, _ = built(as_file(items))

    assert spoken(lines)[1][2] == "2026-01-01T08:00:00.000Z"


def test_the_key_comes_from_what_is_given_then_the_metadata_then_the_name() -> None:
    given = KeyParts("slack", "T1", "C2", "U3")

    assert derive_key("x_y", "telegram:42", given, by_sender=True) == SessionKey("slack", "T1", "C2", None, "U3")
    assert derive_key("x_y", "telegram:42", KeyParts(account="bot"), by_sender=True) == KEY
    assert derive_key("discord_7_8", None, KeyParts(), by_sender=True) == SessionKey("discord", "imported", "7_8")
    assert derive_key("nothing", None, KeyParts(), by_sender=True) is None
    assert derive_key("x", "x:1:2", KeyParts(), by_sender=True) == SessionKey("x", "imported", "1:2")


def test_a_group_or_a_shared_session_has_no_sender_of_its_own() -> None:
    group = derive_key("", "telegram:-100", KeyParts(), by_sender=True)
    shared = derive_key("", "telegram:42", KeyParts(), by_sender=False)

    assert group is not None
    assert shared is not None
    assert (group.sender, shared.sender) == (None, None)


def test_the_metadata_are_found_in_the_first_line(tmp_path: Path) -> None:
    (tmp_path / "nanobot").write_bytes(as_file(NANOBOT))
    (tmp_path / "zeroclaw").write_bytes(as_file(ZEROCLAW))

    assert find_key_text(tmp_path / "nanobot") == "telegram:42"
    assert find_key_text(tmp_path / "zeroclaw") is None


def test_a_session_that_exists_is_not_written_over(tmp_path: Path) -> None:
    target = tmp_path / "a.jsonl"
    target.write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        write_session(iter([b"theirs\n"]), target)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a.jsonl", b"mine")]


def test_an_import_that_fails_midway_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "none")
    with pytest.raises(OSError, match="link"):
        write_session((line.content or b"" for line in read_lines(tmp_path / "link")), tmp_path / "a.jsonl")

    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_an_empty_line_is_passed_over_and_parts_of_plain_text_are_joined() -> None:
    file = ForeignFile()
    message = file.take(b'{"role": "user", "content": ["one", {"type": "text", "text": "two"}]}')

    assert file.take(b"  ") is None
    assert message is not None
    assert message.content == "one\ntwo"
    assert not file.left_out


def test_all_that_is_left_out_is_counted_by_its_kind() -> None:
    call = {"role": "assistant", "content": "", "tool_calls": [{"id": "1"}]}
    left_out: dict[str, dict[str, Any]] = {
        "metadata lines": {"_type": "metadata"},
        "system messages": {"role": "system", "content": "x"},
        "tool messages": {"role": "tool", "content": "x"},
        "messages of another role": {"role": "developer", "content": "x"},
        "tool calls without text": call,
        "empty user messages": {"role": "user", "content": " "},
        "empty assistant messages": {"role": "assistant", "content": None},
        "lines that cannot be read": {"role": 7},
    }
    said = [{"role": role, "content": role} for role in ("user", "assistant")]
    lines, foreign = built(as_file([*left_out.values(), *said] * 2))

    assert [(role, text) for role, text, _ in spoken(lines)] == [("user", "user"), ("assistant", "assistant")] * 2
    assert (foreign.users, foreign.assistants) == (2, 2)
    assert dict(foreign.left_out) == dict.fromkeys(left_out, 2)


def test_a_line_longer_than_any_message_is_counted_and_hides_nothing() -> None:
    lines, foreign = built(b"#" * (MAX_LINE_BYTES + 1) + b"\n" + as_file(ZEROCLAW[1:3]))

    assert len(spoken(lines)) == 2
    assert dict(foreign.left_out) == {"lines that cannot be read": 1}


def test_parts_that_are_no_text_are_named_if_they_were_attached_and_passed_over_if_not() -> None:
    parts = [
        {"type": "input_image"},
        {"type": "thinking", "thinking": "hm"},
        "and",
        {"type": "input_audio", "text": None},
        {"type": "text", "text": "words"},
    ]
    lines, _ = built(as_file([{"role": "user", "content": parts}]))

    assert [text for _, text, _ in spoken(lines)] == ["[image]\nand\n[audio]\nwords"]

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentd.transcript.records import (
    AssistantMessage,
    Damaged,
    Delivery,
    Record,
    Unknown,
    UserMessage,
    encode_line,
    parse_line,
)
from agentd.transcript.view import fold
from tests.unit.agentd.transcript.building import CALM, records, texts

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@CALM
@given(records)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    line = encode_line(record)

    assert parse_line(line) == record
    assert parse_line(line.rstrip(b"\n")) == record


@CALM
@given(records)
def test_a_line_has_one_newline_and_that_at_its_end(record: Record) -> None:
    line = encode_line(record)

    assert line.count(b"\n") == 1
    assert line.endswith(b"}\n")
    assert b"\r" not in line
    assert json.loads(line)["type"]


@CALM
@given(records, st.dictionaries(texts.filter(bool).map(lambda name: f"x-{name}"), json_values, max_size=3))
def test_fields_that_a_later_version_added_are_passed_over(record: Record, later: dict[str, object]) -> None:
    fields = json.loads(encode_line(record))
    line = json.dumps({**later, **fields, **later}, ensure_ascii=False).encode()

    assert parse_line(line) == record


@pytest.mark.parametrize("role", ["user", "assistant"])
def test_a_line_of_an_older_format_is_a_message(role: str) -> None:
    record = parse_line(json.dumps({"role": role, "content": "Grüße"}).encode())

    assert isinstance(record, UserMessage | AssistantMessage)
    assert (record.role, record.content, record.seq) == (role, "Grüße", -1)


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b'{"seq":7,"ts":"","type":"hologram","content":5}', "hologram"),
        (b'{"seq":7,"role":"system","content":"x"}', "message system"),
        (b'{"seq":7,"type":"message","content":"x"}', "message"),
        (b'{"seq":7}', "message"),
    ],
)
def test_a_type_that_is_not_known_is_told_apart_from_damage(line: bytes, name: str) -> None:
    assert parse_line(line) == Unknown(seq=7, name=name)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b" ",
        b"\x00" * 64,
        b"null",
        b"5",
        b'"text"',
        b"[]",
        b'[{"role":"user","content":"x"}]',
        b'{"role":"user"}',
        b'{"role":"user","content":5}',
        b'{"role":"user","content":null}',
        b'{"role":5,"content":"x"}',
        b'{"type":null,"content":"x"}',
        b'{"type":"delivery","of":"5","state":"sent"}',
        b'{"type":"delivery","of":5,"state":"lost"}',
        b'{"type":"compaction","covers":[1],"digest":"","summary":""}',
        b'{"type":"message","type":"reset","reason":"x"}',
        b'{"role":"user","content":"\xff\xfe"}',
        b'{"role":"user","content":"\xed\xa0\x80"}',
        b'{"role":"user","content":"\\ud800"}',
        b'{"role":"user","content":"\\udc00\\ud800 and more"}',
        b'{"role":"user","content":"x"',
        b'{"role":"user","content":"x"}}',
        b'{"role":"user","content":"x"}\x00',
        b'\xef\xbb\xbf{"role":"user","content":"x"}',
        b"[" * 200_000,
        b'{"x":' * 200_000,
        b'{"role":"user","content":"x","deep":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
        b'{"seq":1e30,"role":"user","content":"x"}',
        b'{"seq":0.5,"role":"user","content":"x"}',
        b'{"seq":true,"role":"user","content":"x"}',
        b'{"seq":-2,"role":"user","content":"x"}',
        b'{"seq":9007199254740993,"role":"user","content":"x"}',
        b'{"seq":' + b"9" * 40 + b',"role":"user","content":"x"}',
        b'{"seq":' + b"9" * 4_300 + b',"type":"hologram"}',
        b'{"seq":' + b"9" * 100_000 + b',"role":"user","content":"x"}',
    ],
    ids=lambda line: repr(line[:40]),
)
def test_a_line_that_is_no_record_is_damage(line: bytes) -> None:
    assert isinstance(parse_line(line), Damaged)


@CALM
@given(
    st.binary() | st.text().map(lambda text: text.encode()) | json_values.map(lambda value: json.dumps(value).encode())
)
@example(b'{"type":"delivery","of":' + b"9" * 4_300 + b',"state":"sent"}')
def test_no_line_raises(line: bytes) -> None:
    record = parse_line(line)

    assert fold([record]).next_seq <= 2**53 + 1


@CALM
@given(records, st.data())
def test_no_line_with_a_changed_byte_raises(record: Record, data: st.DataObject) -> None:
    line = bytearray(encode_line(record))
    line[data.draw(st.integers(0, len(line) - 1))] = data.draw(st.integers(0, 255))

    assert isinstance(parse_line(bytes(line)), msgspec.Struct)


@pytest.mark.parametrize("seq", [0, 1, 2**31, 2**53 - 1])
def test_a_large_seq_that_a_file_may_reach_is_read_back(seq: int) -> None:
    record = Delivery(of=seq, state="sent", seq=seq)

    assert parse_line(encode_line(record)) == record


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d\ude00"])
def test_text_that_is_no_unicode_is_refused_when_written(text: str) -> None:
    with pytest.raises(UnicodeEncodeError):
        encode_line(UserMessage(content=text))

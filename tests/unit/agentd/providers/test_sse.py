from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.providers.sse import EventTooLong, SSEReader


def read(*pieces: bytes, limit_bytes: int = 1000) -> list[bytes]:
    reader = SSEReader(limit_bytes)
    return [data for piece in pieces for data in reader.feed(piece)] + list(reader.finish())


def test_only_the_data_of_an_event_is_given() -> None:
    assert read(b": hello\nevent: x\nid: 7\ndata: one\nretry: 3\n\n:\n\ndata:two\n\n") == [b"one", b"two"]


def test_the_lines_of_one_event_are_joined() -> None:
    assert read(b"data: a\ndata\ndata:  b\n\n") == [b"a\n\n b"]


def test_every_line_end_of_the_standard_is_known() -> None:
    assert read(b"data: a\r\n\r\ndata: b\r\rdata: c\n\n") == [b"a", b"b", b"c"]


def test_a_line_end_cut_in_two_is_one() -> None:
    assert read(b"data: a\r", b"", b"\ndata: b\r", b"\n\r", b"\n") == [b"a\nb"]


def test_a_line_end_cut_in_two_does_not_swallow_the_empty_line_behind_it() -> None:
    assert read(b"data: a\r", b"\n", b"\n", b"data: b\n\n") == [b"a", b"b"]


def test_an_event_without_its_empty_line_counts_at_the_end() -> None:
    assert read(b"data: a\n\ndata: b") == [b"a", b"b"]


@pytest.mark.parametrize(
    "stream",
    [b"x" * 101, b": " + b"x" * 99, b"data: 123456\n" * 12, b"data: " + b"x" * 100 + b"\n\n"],
    ids=["a line", "a comment", "an event", "a whole event"],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_what_never_ends_is_refused(stream: bytes, size: int) -> None:
    pieces = [stream[start : start + size] for start in range(0, len(stream), size)]

    with pytest.raises(EventTooLong):
        read(*pieces, limit_bytes=100)


def test_many_small_events_are_no_long_one() -> None:
    assert len(read(b"data: 123456\n\n" * 1000, limit_bytes=100)) == 1000


@given(st.lists(st.sampled_from([b"data: a", b"data:b", b": c", b"\r", b"\n", b"\r\n", b"data", b"x"])), st.data())
def test_any_cutting_gives_the_same_events(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]

    assert read(*pieces) == read(stream)

"""These tests check what is taken in of Slack's payloads, however they look."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import Address
from channels.errors import RateLimited
from channels.pacing import Rate
from channels.slack.budget import Budget
from channels.slack.files import read_files
from channels.slack.parse import Ignored, Me, Opened, Reader, Said

ME = Me("T1", "U0BOT", "agentd")
READER = Reader(ME, "mention", ["new", "stop"])
TS = "1700000000.000100"

KEYS = (
    "type",
    "event",
    "subtype",
    "channel",
    "user",
    "text",
    "ts",
    "thread_ts",
    "message",
    "previous_message",
    "edited",
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from([TS, "D1", "C1", "U1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from((*KEYS, "files", "bot_id", "deleted_ts", "event_ts", "url_private")), inner),
    ),
    max_leaves=12,
)


def message(**more: Any) -> dict[str, Any]:
    return {"type": "message", "channel": "D1", "user": "U1", "text": "hello", "ts": TS, **more}


@given(st.dictionaries(st.sampled_from(KEYS), VALUES))
@settings(max_examples=60, deadline=None)
def test_nothing_that_comes_makes_reading_fail(payload: dict[str, Any]) -> None:
    event = {**payload, "type": "message"}
    for read in (
        READER.read_event(payload),
        READER.read_event({"type": "event_callback", "event": event}),
        READER.read_message(event, "D1"),
        READER.read_command(payload, datetime.now(UTC)),
    ):
        assert isinstance(read, Said | Opened | Ignored)


@given(VALUES)
def test_no_file_makes_reading_fail(files: Any) -> None:
    for file in read_files({"files": files}):
        assert file.ref or file.unread


@pytest.mark.parametrize(
    ("event", "address"),
    [
        (message(), ("D1", None)),
        (message(thread_ts=TS), ("D1", None)),
        (message(thread_ts="1699999999.000100"), ("D1", "1699999999.000100")),
        (message(channel="C1"), ("C1", TS)),
        (message(channel="C1", thread_ts=TS), ("C1", TS)),
        (message(channel="G1", thread_ts="1699999999.000100"), ("G1", "1699999999.000100")),
        (message(channel="C1", subtype="thread_broadcast", thread_ts="1699999999.000100"), ("C1", "1699999999.000100")),
    ],
)
def test_a_place_follows_from_where_it_was_written(event: dict[str, Any], address: tuple[str, str | None]) -> None:
    said = READER.read_event({"type": "event_callback", "event": event, "team_id": "T2"})

    assert isinstance(said, Said)
    assert said.address == Address("slack", "T1", *address)
    assert said.is_direct == (address[0] == "D1")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (message(user="U0BOT"), "own"),
        (message(bot_id="B1"), "bot"),
        (message(subtype="bot_message"), "bot"),
        (message(user="USLACKBOT"), "nobody"),
        (message(user=None), "nobody"),
        (message(subtype="channel_topic"), "service"),
        (message(subtype="message_replied"), "service"),
        (message(text=" "), "empty"),
        (message(ts="soon"), "unparsable"),
        (message(channel=None), "unparsable"),
        ({"type": "app_home_opened"}, "other"),
    ],
)
def test_what_is_nobodys_says_why_it_is_ignored(event: dict[str, Any], reason: str) -> None:
    assert READER.read_event({"type": "event_callback", "event": event}) == Ignored(reason)


@pytest.mark.parametrize(
    ("text", "read"),
    [("!new", "/new"), ("  !NEW one", "/NEW one"), ("!newer", "!newer"), ("! new", "! new"), ("so !new", "so !new")],
)
def test_only_a_command_behind_a_bang_is_one(text: str, read: str) -> None:
    assert READER.command_in(text) == read


def test_a_budget_is_spent_and_comes_back() -> None:
    now = [0.0]
    budget = Budget(Rate(2, 10), lambda: now[0])
    budget.take()
    now[0] = 4
    budget.take()
    with pytest.raises(RateLimited) as fault:
        budget.take()

    assert fault.value.retry_after_seconds == 6

    now[0] = 10
    budget.take()
    budget.rest(30)
    now[0] = 20
    with pytest.raises(RateLimited) as fault:
        budget.take()

    assert fault.value.retry_after_seconds == 20


def test_a_budget_tells_when_there_is_room_for_so_many() -> None:
    now = [0.0]
    budget = Budget(Rate(3, 10), lambda: now[0])
    for at in (0.0, 1.0, 4.0):
        now[0] = at
        budget.take()
    now[0] = 5

    assert [budget.wait_seconds(count) for count in (0, 1, 2, 3, 4)] == [0, 5, 6, 9, 10]

    now[0] = 30

    assert budget.wait_seconds(3) == 0
    budget.rest(7)
    assert budget.wait_seconds(1) == 7

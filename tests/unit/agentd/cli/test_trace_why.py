"""These tests check how `agentd trace` explains why a message has no reply yet."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from agentd.cli.trace_find import Found
from agentd.cli.trace_why import Looked, last_hops
from agentd.settings import Settings
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Command, SessionHeader, Source, UserMessage
from agentd.transcript.way import follow, numbered

SOURCE = Source(chat="", message_id="1", sent_at="2026-01-01T12:00:00.000Z", author=Author(id="you"))
HEADER = SessionHeader(version=1, key=SessionKey("console", "local", "", None, "you"), ts="2026-01-01T11:00:00.000Z")
OLD = "the next start tells its sender that it is over 30 minutes old, unless a newer one waits with it"
SETTINGS = Settings.model_validate({"channels_config": {"console": {"enabled": True}}})


@pytest.mark.parametrize(
    ("message", "time", "why"),
    [
        (UserMessage(content="hello", source=SOURCE), "12:29", "the next start answers it"),
        (UserMessage(content="hello", source=SOURCE), "12:31", OLD),
        (Command(name="retry", source=SOURCE), "12:31", OLD),
        (Command(name="status", source=SOURCE), "12:31", "the next start answers it"),
    ],
)
def test_without_a_daemon_it_says_what_the_next_start_does(message: UserMessage | Command, time: str, why: str) -> None:
    way = follow(numbered((HEADER, message)), 1)
    assert way is not None
    now = datetime.fromisoformat(f"2026-01-01T{time}:00+00:00")
    [hop] = last_hops(Found(Path("a.jsonl"), way), Looked(), SETTINGS, now)

    assert hop.what == f"no reply yet: no daemon runs here, {why} (agentd run)"

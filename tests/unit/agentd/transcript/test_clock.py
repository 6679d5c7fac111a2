"""These tests check the times of records: whatever the zone of a moment or of this machine, they are told in UTC."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest

from agentd.transcript.clock import format_time, parse_time


@pytest.fixture
def far_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let this machine's own time be nine hours ahead."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "JST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize("hours", [-5, 0, 9])
def test_a_time_is_written_in_utc_wherever_the_machine_is(hours: int) -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 5_999, UTC).astimezone(timezone(timedelta(hours=hours)))

    assert format_time(moment) == "2026-01-01T12:00:00.005Z"


@pytest.mark.usefixtures("far_away")
@pytest.mark.parametrize(
    "text",
    ["2026-01-01T12:00:00.000Z", "2026-01-01T14:00:00+02:00", "2026-01-01T07:00:00.000-05:00", "2026-01-01T12:00:00"],
)
def test_a_time_is_read_by_its_own_zone_and_as_utc_without_one(text: str) -> None:
    moment = parse_time(text)

    assert moment == datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01T12:00:00.000Z"])
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_time(text) is None

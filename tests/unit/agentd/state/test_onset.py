"""These tests check since when memory counts as switched on, through runs with and without it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentd.state.state import open_state

START = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def begin(folder: Path, hours: int, *, is_on: bool = True) -> str:
    """Begin a run so many hours after the first."""

    def clock() -> datetime:
        return START + timedelta(hours=hours)

    async with open_state(folder / "state.db", "1", clock) as state:
        return await state.onset.note(is_on=is_on)


@pytest.mark.parametrize(
    ("runs", "since"),
    [
        ([(0, True), (1, True), (2, True)], "2026-01-01T12:00:00.000Z"),
        ([(0, True), (1, False), (2, True), (3, True)], "2026-01-01T14:00:00.000Z"),
        ([(0, False), (1, True)], "2026-01-01T13:00:00.000Z"),
        ([(500, True), (1, True), (2, True)], "2026-01-01T13:00:00.000Z"),  # the clock was ahead once
    ],
)
async def test_memory_is_on_since_the_first_run_with_it_of_those_that_follow_each_other(
    tmp_path: Path, runs: list[tuple[int, bool]], since: str
) -> None:
    noted = [await begin(tmp_path, hours, is_on=is_on) for hours, is_on in runs]

    assert noted[-1] == since


async def test_where_nothing_can_be_kept_it_begins_with_this_run(tmp_path: Path) -> None:
    folder = tmp_path / "missing"
    assert [await begin(folder, hours) for hours in (0, 1)] == ["2026-01-01T12:00:00.000Z", "2026-01-01T13:00:00.000Z"]

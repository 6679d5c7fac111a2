from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agentd.errors import StorageError
from agentd.state.state import open_state
from agentd.state.usage import KEPT_DAYS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY, YESTERDAY = ("2026-03-01", "telegram:1"), ("2026-02-28", "telegram:1")


async def keep(path: Path, tokens: dict[tuple[str, str], int]) -> None:
    async with open_state(path, "1", lambda: NOW) as state:
        await state.usage.keep(tokens)


async def kept(path: Path, now: datetime = NOW) -> dict[tuple[str, str], int]:
    async with open_state(path, "1", lambda: now) as state:
        return dict(state.usage.recent)


async def test_what_was_spent_today_and_yesterday_is_known_to_a_later_run(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await keep(path, {TODAY: 7, YESTERDAY: 5, ("2026-02-27", "telegram:1"): 3})

    assert await kept(path) == {TODAY: 7, YESTERDAY: 5}


async def test_a_total_takes_the_place_of_the_earlier_one(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await keep(path, {TODAY: 7, YESTERDAY: 5})
    await keep(path, {TODAY: 9})
    await keep(path, {TODAY: 9})

    assert await kept(path) == {TODAY: 9, YESTERDAY: 5}


async def test_days_that_are_long_over_go_and_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    days = [(NOW - timedelta(days=days)).date().isoformat() for days in (KEPT_DAYS, KEPT_DAYS + 1)]
    for day in days:
        await keep(path, {(day, "telegram:1"): 3})
    await keep(path, {TODAY: 7})

    assert await kept(path, NOW - timedelta(days=KEPT_DAYS)) == {(days[0], "telegram:1"): 3, TODAY: 7}


async def test_a_clock_that_was_wrong_for_a_while_does_not_make_today_one_of_them(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    await keep(path, {TODAY: 7})
    await keep(path, {("2099-01-01", "telegram:1"): 3, ("2026-03-01", "slack:U2"): 2})

    assert (await kept(path))[TODAY] == 7


async def test_a_persons_id_that_holds_what_is_no_character_does_not_keep_others_from_being_kept(
    tmp_path: Path,
) -> None:
    path = tmp_path / "state.db"
    await keep(path, {("2026-03-01", "telegram:\ud800"): 3, TODAY: 7})

    assert (await kept(path))[TODAY] == 7


async def test_where_it_cannot_be_kept_that_is_said(tmp_path: Path) -> None:
    async with open_state(tmp_path / "missing" / "state.db", "1", lambda: NOW) as state:
        with pytest.raises(StorageError, match=r"state\.db cannot be used"):
            await state.usage.keep({TODAY: 7})


async def test_factors_are_known_to_a_later_run_and_replaced_one_by_one(tmp_path: Path) -> None:
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        await state.factors.keep({"a": (1.5, 3), "b": (0.9, 1), "\ud800": (2.0, 1)})
        await state.factors.keep({"a": (1.6, 4)})
    async with open_state(tmp_path / "state.db", "2", lambda: NOW) as state:
        known = state.factors.known

    assert {model: known[model] for model in ("a", "b")} == {"a": (1.6, 4), "b": (0.9, 1)}


async def test_where_factors_cannot_be_kept_on_disk_the_run_goes_on(tmp_path: Path) -> None:
    async with open_state(tmp_path / "missing" / "state.db", "1", lambda: NOW) as state:
        await state.factors.keep({"a": (1.5, 3)})

        assert state.factors.known == {}

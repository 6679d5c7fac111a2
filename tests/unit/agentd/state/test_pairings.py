from __future__ import annotations

import itertools
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import AgentdError, StorageError
from agentd.state import pairings as module
from agentd.state.pairings import ALPHABET, Pairings, locked_until, make_code, parse_code
from agentd.state.state import open_pairings, open_state
from channels.base import Address, Author

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA = Author("42", "Ada", "ada_l")
DM = Address("telegram", "bot", "42")
HOUR = timedelta(hours=1)


class Days:
    """One `state.db` over several runs, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state.db"
        self.now = START

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Pairings]:
        async with open_state(self.path, "1", lambda: self.now) as state:
            yield state.pairings


@pytest.fixture
def days(tmp_path: Path) -> Days:
    return Days(tmp_path)


async def code_for(pairings: Pairings, sender: str = "42", channel: str = "telegram") -> str | None:
    return await pairings.request(Address(channel, "bot", sender), Author(sender, sender.title()))


async def wrong_codes(pairings: Pairings, count: int) -> None:
    for _ in range(count):
        with pytest.raises(AgentdError, match="nobody waits with the code WRONG"):
            await pairings.approve("wrong")


async def test_who_asks_gets_a_code_and_is_paired_by_it_for_good(days: Days) -> None:
    async with days.run() as pairings:
        code = await pairings.request(Address("telegram", "bot", "42", "7"), ADA)
        before = pairings.is_paired("telegram", "42")
        approved = await pairings.approve(str(code))
        after = pairings.is_paired("telegram", "42")
    async with days.run() as pairings:
        later = pairings.is_paired("telegram", "42")
        [entry] = await pairings.entries(paired=True)

    assert (before, after, later) == (False, True, True)
    assert (approved.address, approved.sender) == (Address("telegram", "bot", "42", "7"), "42")
    assert (entry.name, entry.since, entry.code) == ("Ada (@ada_l)", "2026-01-01T12:00:00.000Z", None)


async def test_a_code_is_the_same_until_it_was_shown_and_then_there_is_none_while_it_is_valid(days: Days) -> None:
    async with days.run() as pairings:
        first, again = await code_for(pairings), await code_for(pairings)
        await pairings.note_shown(str(first))
        shown = await code_for(pairings)
    days.now += HOUR - timedelta(milliseconds=1)
    async with days.run() as pairings:
        late = await code_for(pairings)
        days.now += timedelta(milliseconds=1)
        new = await code_for(pairings)

    assert first == again
    assert (shown, late) == (None, None)
    assert new is not None
    assert new != first


async def test_a_code_is_good_for_an_hour_and_once(days: Days) -> None:
    async with days.run() as pairings:
        old = await code_for(pairings)
        days.now += HOUR
        with pytest.raises(AgentdError, match="older than an hour, or used already"):
            await pairings.approve(str(old))
        new = await code_for(pairings)
        await pairings.approve(str(new))
        with pytest.raises(AgentdError, match="used already"):
            await pairings.approve(str(new))


@pytest.mark.parametrize("days_back", [1, 400])
async def test_a_clock_that_was_set_back_keeps_no_code_alive(days: Days, days_back: int) -> None:
    async with days.run() as pairings:
        code = await code_for(pairings)
        days.now -= timedelta(days=days_back)
        waiting = await pairings.entries(paired=False)
        with pytest.raises(AgentdError, match="nobody waits"):
            await pairings.approve(str(code))

    assert waiting == []


async def test_three_wait_in_each_channel_and_no_more(days: Days) -> None:
    async with days.run() as pairings:
        telegram = [await code_for(pairings, sender) for sender in "abcd"]
        slack = [await code_for(pairings, sender, "slack") for sender in "abcd"]
        waiting = await pairings.entries(paired=False)
        await pairings.approve(str(telegram[1]))
        next_one = await code_for(pairings, "d")

    assert [code is None for code in (*telegram, *slack)] == [False, False, False, True] * 2
    assert [(entry.channel, entry.sender) for entry in waiting] == [
        (channel, sender) for channel in ("slack", "telegram") for sender in "abc"
    ]
    assert {entry.expires for entry in waiting} == {"2026-01-01T13:00:00.000Z"}
    assert next_one is not None


async def test_five_wrong_codes_lock_approval_for_an_hour_whatever_is_restarted(days: Days) -> None:
    async with days.run() as pairings:
        await wrong_codes(pairings, 4)
        days.now += timedelta(minutes=30)
        await wrong_codes(pairings, 1)
    days.now += timedelta(minutes=59)
    async with days.run() as pairings:
        code = await code_for(pairings)
        with pytest.raises(AgentdError, match=r"too many wrong codes: none is taken until 2026-01-01 13:30:00 UTC$"):
            await pairings.approve(str(code))
        days.now += timedelta(minutes=1)
        await pairings.approve(str(code))
        await wrong_codes(pairings, 4)


async def test_wrong_codes_do_not_pile_up(days: Days) -> None:
    async with days.run() as pairings:
        for _ in range(20):
            days.now += HOUR
            await wrong_codes(pairings, 1)
    with closing(sqlite3.connect(days.path)) as connection:
        assert connection.execute("SELECT count(*) FROM failed_approval").fetchone() == (module.MOST_WRONG,)


@given(st.lists(st.integers(0, 7200), min_size=1, max_size=12))
def test_approval_is_locked_for_an_hour_after_the_fifth_wrong_code_of_an_hour(gaps: list[int]) -> None:
    """Played through: each try, unless it is refused, is one more wrong code."""
    wrong: list[datetime] = []
    locks: list[datetime] = []
    for moment in itertools.accumulate(gaps):
        now = START + timedelta(seconds=moment)
        until = locked_until(wrong[: module.MOST_WRONG], now)

        assert (until is not None) == any(now < lock + HOUR for lock in locks)
        if until is None:
            wrong.insert(0, now)
            if len([at for at in wrong if now - at <= HOUR]) >= module.MOST_WRONG:
                locks.append(now)


def test_a_clock_that_was_set_back_far_locks_nobody_out() -> None:
    assert locked_until([START] * 5, START) == START + HOUR
    assert locked_until([START] * 5, START - timedelta(minutes=1)) == START + HOUR
    assert locked_until([START] * 5, START - timedelta(days=1)) is None


async def test_who_is_revoked_is_a_stranger_again(days: Days) -> None:
    async with days.run() as pairings:
        await pairings.approve(str(await code_for(pairings)))
        removed = await pairings.revoke("telegram", "42")
        again = await pairings.revoke("telegram", "42")
        paired = pairings.is_paired("telegram", "42")
        code = await code_for(pairings)
        withdrawn = await pairings.revoke("telegram", "42")
        waiting = await pairings.entries(paired=False)

    assert (removed, again, paired) == (True, False, False)
    assert code is not None
    assert (withdrawn, waiting) == (True, [])


@pytest.mark.parametrize("typed", ["abcdefgh", "ABCD-EFGH", " abcd efgh ", "a b-c\u2013d\tE.F.G.H"])
def test_a_code_is_read_as_people_type_it(typed: str) -> None:
    assert parse_code(typed) == "ABCDEFGH"


def test_codes_cannot_be_guessed_or_misread() -> None:
    codes = {make_code() for _ in range(1000)}

    assert len(codes) == 1000
    assert {len(code) for code in codes} == {8}
    assert set("".join(codes)) == set(ALPHABET)
    assert not set(ALPHABET) & set("01OIL")
    assert all(parse_code(code.lower()) == code for code in codes)


async def test_a_name_of_any_kind_is_kept_short(days: Days) -> None:
    async with days.run() as pairings:
        await pairings.request(DM, Author("42", "\ud800\x00\x1b[2J" + "x" * 1000))
        [entry] = await pairings.entries(paired=False)

    assert entry.name == ("?\x00\x1b[2J" + "x" * 1000)[: module.MOST_NAME_CHARACTERS]


async def test_an_id_that_is_no_text_is_a_fault_and_no_crash(days: Days) -> None:
    async with days.run() as pairings:
        with pytest.raises(StorageError):
            await pairings.request(DM, Author("\ud800", "Ada"))
        with pytest.raises(StorageError):
            await pairings.revoke("telegram", "\udcff")

        assert await code_for(pairings) is not None


async def test_what_cannot_be_kept_is_raised_and_changes_nothing(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentd.state.database.BUSY_SECONDS", 0.01)
    async with days.run() as pairings:
        code = str(await code_for(pairings))
        with closing(sqlite3.connect(days.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            for work in (code_for(pairings, "7"), pairings.note_shown(code), pairings.approve(code)):
                with pytest.raises(StorageError, match=r"state\.db cannot be used \(database is locked\)"):
                    await work
            other.execute("ROLLBACK")
        paired = pairings.is_paired("telegram", "42")
        await pairings.approve(code)

    assert not paired


async def test_without_a_database_nobody_is_paired_and_every_question_is_refused(tmp_path: Path) -> None:
    async with open_state(tmp_path / "missing" / "state.db", "1", lambda: START) as state:
        with pytest.raises(StorageError, match="check its owner, mode and disk"):
            state.require()
        for work in (code_for(state.pairings), state.pairings.approve("x"), state.pairings.revoke("a", "b")):
            with pytest.raises(StorageError):
                await work

        assert not state.pairings.is_paired("telegram", "42")


async def test_a_command_finds_what_a_run_left_and_is_no_run_itself(days: Days) -> None:
    async with days.run() as pairings:
        code = await code_for(pairings)
    async with open_pairings(days.path, lambda: days.now) as pairings:
        await pairings.approve(str(code))
    async with days.run() as pairings:
        assert pairings.is_paired("telegram", "42")
    with closing(sqlite3.connect(days.path)) as connection:
        assert connection.execute("SELECT count(*) FROM run").fetchone() == (2,)


async def test_a_command_sets_nothing_aside(days: Days) -> None:
    days.path.write_bytes(b"garbage")
    with pytest.raises(StorageError, match=r"state\.db cannot be used \(no database\)"):
        async with open_pairings(days.path, lambda: days.now):
            pass

    assert days.path.read_bytes() == b"garbage"

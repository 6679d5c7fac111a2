"""These tests check that erasing a person removes them from `state.db` and its bytes, and keeps others."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentd.admission.settings import LimitsSettings
from agentd.admission.spending import Spending
from agentd.errors import StorageError
from agentd.state.erasure import Traces, erase_traces
from agentd.state.state import State, open_kept, open_state
from channels.base import Address, Author

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADA, ADAS_OTHER, BOB, EVE = "telegram:700001", "discord:700011", "telegram:800002", "discord:900003"
SENDERS = frozenset((ADA, ADAS_OTHER))
TRACES = Traces(SENDERS, frozenset({("telegram", "bot", "700001")}), frozenset({"telegram~bot~700001~~700001.jsonl"}))


async def fill(state: State) -> None:
    for name in ("700001", "800002"):
        code = await state.pairings.request(Address("telegram", "bot", name), Author(name, f"Name of {name}"))
        await state.pairings.approve(str(code))
        await state.aliases.add_alias("telegram", "bot", f"{name}0", name)
        await state.marks.keep({f"telegram~bot~{name}~~{name}.jsonl": (1, 2)}, ())
    await state.pairings.request(Address("discord", "bot", "700011"), Author("700011", "Name of 700011"))
    await state.usage.keep({("2026-01-01", ADA): 5, ("2026-01-01", BOB): 7})
    await state.people.link(ADA, ADAS_OTHER)
    await state.people.link(BOB, EVE)
    await state.people.redeem(ADA, "WRONGONE")
    await state.people.offer(ADA, Address("telegram", "bot", "700001"))


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        await fill(state)
    return tmp_path / "state.db"


def holding(path: Path, *texts: str) -> list[str]:
    content = b"".join(part.read_bytes() for part in path.parent.iterdir())
    return [text for text in texts if text.encode() in content]


async def test_nothing_of_the_person_is_left_and_all_of_the_others_is(path: Path) -> None:
    assert holding(path, "700001", "700011") == ["700001", "700011"]
    async with open_kept(path, lambda: NOW) as state:
        removed = await erase_traces(state, TRACES)
        while_open = holding(path, "700001", "700011")
        again = await erase_traces(state, TRACES)
        knows = state.pairings.is_paired("telegram", "700001"), state.pairings.is_paired("telegram", "800002")
        alias = state.aliases.canonical("telegram", "bot", "700001")
    async with open_kept(path, lambda: NOW) as state:
        spent = await state.usage.spent_by(SENDERS), await state.usage.spent_by(frozenset((BOB,)))
        linked = state.people.linked
        marked = await state.marks.settled()
        waiting = await state.pairings.entries(paired=False)

    assert (removed, again) == (6, 0)
    assert while_open == holding(path, "700001", "700011") == []
    assert knows == (False, True)
    assert alias == "700001"
    assert spent == ([], [("2026-01-01", BOB, 7)])
    assert linked == {frozenset((BOB, EVE))}
    assert list(marked) == ["telegram~bot~800002~~800002.jsonl"]
    assert waiting == []
    assert holding(path, "800002", "8000020") == ["800002", "8000020"]


async def test_without_a_disk_that_is_a_fault(tmp_path: Path) -> None:
    async with open_state(tmp_path / "missing" / "state.db", "1", lambda: NOW) as state:
        with pytest.raises(StorageError):
            await erase_traces(state, TRACES)


def test_what_a_person_spent_is_not_counted_and_not_kept_any_more() -> None:
    spending = Spending(LimitsSettings(tokens_per_day=10), {("2026-01-01", ADA): 6}, lambda: NOW)
    spending.spend(ADA, 1)
    spending.spend(BOB, 2)
    spending.forget(SENDERS)

    assert spending.take_changed() == {("2026-01-01", BOB): 2}
    assert spending.refusal(BOB, 8) == ""
    assert spending.refusal(BOB, 9) != ""

"""These tests check which chats the governor remembers: those that still matter, and not many more."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given

from agentd.delivery import governor
from agentd.delivery.governor import STRICT_SECONDS, Governor
from tests.unit.agentd.delivery.test_governor import DM, GROUP, RATES, STEPS, Clock, governor_now, passed, turns
from tests.unit.agentd.delivery.timeless import play


def known(of: Governor) -> set[str]:
    """Return the chats that are remembered, at a time when the next new one makes it forget."""
    of.is_resting("another")
    return set(of._places) - {"another"}


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(governor, "MOST_IDLE_PLACES", 0)


@given(STEPS)
def test_forgetting_changes_nothing_that_is_let_through(steps: list[tuple[str, str, float]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(governor, "MOST_IDLE_PLACES", 1_000_000)
        remembered = play(passed(steps))
        patch.setattr(governor, "MOST_IDLE_PLACES", 0)

        assert play(passed(steps)) == remembered


def test_no_more_idle_chats_are_remembered_than_it_takes() -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    for number in range(5_000):
        clock.now += 3.0
        governor.draft(str(number))

    assert len(governor._places) <= 1_000


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize(("chat", "seconds"), [(DM, 3.0), (GROUP, 60.0)])
def test_a_chat_is_forgotten_once_its_whole_budget_is_back(chat: str, seconds: float) -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    governor.draft(chat)
    clock.now += seconds - 0.01

    assert known(governor) == {chat}
    clock.now += 0.02
    governor.is_resting("a third")
    assert chat not in governor._places


@pytest.mark.usefixtures("forgetful")
@pytest.mark.parametrize("seconds", [1.0, 86_400.0])
def test_a_chat_that_complained_is_remembered_as_long_as_it_matters(seconds: float) -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    governor.rest(DM, seconds)
    clock.now += max(seconds, STRICT_SECONDS) - 0.01

    assert known(governor) == {DM}
    clock.now += 0.02
    governor.is_resting("a third")
    assert DM not in governor._places


@pytest.mark.usefixtures("forgetful")
def test_a_chat_in_which_something_waits_is_remembered() -> None:
    """Those of the other chats have taken all there is; in this one nothing was said yet."""

    async def scenario() -> set[str]:
        governor = await governor_now()
        await turns(governor, [str(number) for number in range(30)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(governor.turn("new"), name="final")
            await asyncio.sleep(0.5)
            return known(governor)

    assert "new" in play(scenario())

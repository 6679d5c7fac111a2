"""These tests check the governor's rate budget: what it lets through, and when."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.delivery.governor import STRICT_SECONDS, Governor
from channels.pacing import UNPACED, Rate, Rates
from tests.unit.agentd.delivery.timeless import START_SECONDS, play

RATES = Rates(Rate(3, 3.0), Rate(20, 60.0), Rate(30, 1.0), is_group=lambda chat: chat.startswith("-"))
DM, GROUP = "7", "-40"
NEAR = 1e-6

T = TypeVar("T")


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now = START_SECONDS

    def __call__(self) -> float:
        return self.now


async def governor_now(rates: Rates = RATES) -> Governor:
    return Governor(rates, asyncio.get_running_loop().time)


async def turns(governor: Governor, chats: list[str]) -> list[tuple[str, float]]:
    """Ask for so many calls at once; return which was let through when, by seconds since the start."""
    passed: list[tuple[str, float]] = []

    async def call(chat: str) -> None:
        await governor.turn(chat)
        passed.append((chat, round(asyncio.get_running_loop().time() - START_SECONDS, 6)))

    async with asyncio.TaskGroup() as tasks:
        for number, chat in enumerate(chats):
            tasks.create_task(call(chat), name=f"call {number}")
    return passed


def most_within(times: list[float], seconds: float) -> int:
    """Return how many fall into a window of so many seconds at most."""
    return max((sum(time <= other < time + seconds - NEAR for other in times) for time in times), default=0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("turn", "draft", "rest")),
        st.sampled_from((DM, "8", GROUP, "-41")),
        st.sampled_from((0.0, 0.01, 0.3, 1.0, 2.5, 20.0)),
    ),
    max_size=80,
)


async def passed(steps: list[tuple[str, str, float]]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Play the steps, each some seconds after the one before; return when calls, and drafts, were let through."""
    governor, loop = await governor_now(), asyncio.get_running_loop()
    calls: dict[str, list[float]] = {}
    drafts: dict[str, list[float]] = {}

    async def call(chat: str) -> None:
        await governor.turn(chat)
        calls.setdefault(chat, []).append(loop.time())

    async with asyncio.TaskGroup() as tasks:
        for kind, chat, pause in steps:
            await asyncio.sleep(pause)
            match kind:
                case "turn":
                    tasks.create_task(call(chat), name="call")
                case "draft" if governor.draft(chat) <= 0:
                    drafts.setdefault(chat, []).append(loop.time())
                    calls.setdefault(chat, []).append(loop.time())
                case "rest":
                    governor.rest(chat, pause)
    return calls, drafts


@given(STEPS)
def test_no_window_ever_holds_more_calls_than_the_rates_allow(steps: list[tuple[str, str, float]]) -> None:
    calls, _ = play(passed(steps))
    everything = sorted(time for times in calls.values() for time in times)

    assert most_within(everything, 1.0) <= 30
    for chat, times in calls.items():
        assert most_within(times, 3.0) <= 3
        assert not chat.startswith("-") or most_within(times, 60.0) <= 20


@given(STEPS)
def test_drafts_are_never_closer_to_the_call_before_than_calls_that_are_spread_evenly(
    steps: list[tuple[str, str, float]],
) -> None:
    calls, drafts = play(passed(steps))

    for chat, times in drafts.items():
        pause = 3.0 if chat.startswith("-") else 1.0
        before = [[call for call in calls[chat] if call < time] for time in times]
        assert all(time - max(calls) >= pause - NEAR for time, calls in zip(times, before, strict=True) if calls)


@given(STEPS)
def test_everybody_who_waits_is_let_through(steps: list[tuple[str, str, float]]) -> None:
    calls, drafts = play(passed(steps))
    asked = sum(kind == "turn" for kind, _, _ in steps)

    assert sum(map(len, calls.values())) == asked + sum(map(len, drafts.values()))


def test_a_call_waits_exactly_until_there_is_room() -> None:
    async def scenario() -> list[tuple[str, float]]:
        return await turns(await governor_now(), [DM] * 8)

    assert play(scenario()) == [(DM, 3.0 * (number // 3)) for number in range(8)]


def test_a_group_is_held_to_the_rate_of_any_chat_and_to_its_own() -> None:
    async def scenario() -> list[tuple[str, float]]:
        return await turns(await governor_now(), [GROUP] * 21)

    passed = play(scenario())

    assert passed[:20] == [(GROUP, 3.0 * (number // 3)) for number in range(20)]
    assert passed[20] == (GROUP, 60.0)


def test_all_chats_together_are_held_to_one_rate_and_served_in_the_order_in_which_they_came() -> None:
    chats = [str(number) for number in range(70)]

    async def scenario() -> list[tuple[str, float]]:
        return await turns(await governor_now(), chats)

    passed = play(scenario())

    assert passed == [(chat, number // 30) for number, chat in enumerate(chats)]


def test_a_chat_that_waits_for_its_own_rate_holds_up_no_other() -> None:
    async def scenario() -> list[tuple[str, float]]:
        return await turns(await governor_now(), [DM] * 5 + ["8"])

    assert ("8", 0.0) in play(scenario())


def test_who_came_first_in_a_chat_goes_first_also_before_those_who_come_just_as_there_is_room() -> None:
    async def scenario() -> list[str]:
        governor = await governor_now()
        order: list[str] = []

        async def call(name: str) -> None:
            await governor.turn(DM)
            order.append(name)

        async with asyncio.TaskGroup() as tasks:
            for number in range(30):
                tasks.create_task(call(f"{number}"), name=f"call {number}")
                if number % 3 == 0:
                    await asyncio.sleep(1.0)
        return order

    assert play(scenario()) == [str(number) for number in range(30)]


def test_one_that_is_cancelled_in_the_line_takes_no_place_and_holds_up_nobody() -> None:
    async def scenario() -> list[tuple[str, float]]:
        governor = await governor_now()
        async with asyncio.TaskGroup() as tasks:
            waiting = [tasks.create_task(governor.turn(DM), name=f"call {number}") for number in range(5)]
            await asyncio.sleep(0.5)
            for task in waiting[3:]:
                task.cancel()
        return await turns(governor, [DM])

    assert play(scenario()) == [(DM, 3.0)]


@pytest.mark.parametrize(("chat", "pause_seconds", "most"), [(DM, 1.0, 2), (GROUP, 3.0, 14)])
def test_drafts_leave_room_for_what_must_be_said(chat: str, pause_seconds: float, most: int) -> None:
    async def scenario() -> tuple[int, float]:
        governor, loop = await governor_now(), asyncio.get_running_loop()
        drafts = 0
        while (seconds := governor.draft(chat)) <= pause_seconds + NEAR:
            drafts += seconds <= 0
            await asyncio.sleep(max(seconds, 0.0))
        before = loop.time()
        await governor.turn(chat)
        return drafts, loop.time() - before

    assert play(scenario()) == (most, 0.0)


def test_a_chats_drafts_leave_room_for_other_chats() -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    drafted = [chat for chat in map(str, range(40)) if governor.draft(chat) <= 0]

    assert len(drafted) == 20


def test_a_draft_that_has_no_room_is_told_exactly_when_it_will_have() -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    governor.draft(DM)
    clock.now += 0.25
    seconds = governor.draft(DM)
    clock.now += seconds - 0.001
    early = governor.draft(DM)
    clock.now += 0.001 + NEAR

    assert seconds == pytest.approx(0.75)
    assert early > 0
    assert governor.draft(DM) == 0


def test_a_look_takes_no_place() -> None:
    governor = Governor(RATES, Clock())

    assert [governor.draft(DM, looks_only=True) for _ in range(5)] == [0.0] * 5
    assert governor.draft(DM) == 0
    assert governor.draft(DM, looks_only=True) == pytest.approx(1.0)


def test_a_draft_gives_way_to_what_waits_in_its_chat() -> None:
    async def scenario() -> tuple[float, list[tuple[str, float]]]:
        governor = await governor_now()
        await turns(governor, [DM] * 3)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(turns(governor, [DM]), name="final")
            await asyncio.sleep(3.0)
            seconds = governor.draft(DM)
        return seconds, waiting.result()

    seconds, final = play(scenario())

    assert seconds > 0
    assert final == [(DM, 3.0)]


@given(st.floats(0.01, 100_000), st.floats(0, 1))
def test_a_rest_is_kept_to_the_end_and_no_longer(seconds: float, share: float) -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    governor.rest(DM, seconds)
    clock.now += seconds * share * 0.999

    assert governor.is_resting(DM)
    assert governor.draft(DM) == pytest.approx(START_SECONDS + seconds - clock.now)
    assert not governor.is_resting("8")
    clock.now = START_SECONDS + seconds + NEAR
    assert not governor.is_resting(DM)
    assert governor.draft(DM) == 0


@pytest.mark.parametrize("seconds", [1.0, 37.0, 86_400.0])
def test_a_call_that_waits_already_waits_for_a_rest_too(seconds: float) -> None:
    async def scenario() -> list[tuple[str, float]]:
        governor = await governor_now()
        await turns(governor, [DM] * 3)
        async with asyncio.TaskGroup() as tasks:
            waiting = tasks.create_task(turns(governor, [DM]), name="final")
            await asyncio.sleep(2.5)
            governor.rest(DM, seconds)
        return waiting.result()

    assert play(scenario()) == [(DM, max(2.5 + seconds, 3.0))]


def test_a_call_that_was_refused_takes_no_place_of_those_that_follow() -> None:
    async def scenario() -> list[float]:
        governor = await governor_now()
        await turns(governor, [GROUP] * 15)
        for _ in range(10):
            await governor.turn(GROUP)
            governor.refused(GROUP, 1.0)
        return [time for _, time in await turns(governor, [GROUP] * 6)]

    times = play(scenario())

    assert times[4] < 60 <= times[5]


def test_a_shorter_rest_does_not_end_a_longer_one() -> None:
    clock = Clock()
    governor = Governor(RATES, clock)
    governor.rest(DM, 60)
    governor.rest(DM, 1)
    clock.now += 59

    assert governor.is_resting(DM)


@pytest.mark.parametrize(("after_seconds", "pauses"), [(0.0, [1.0] * 3), (STRICT_SECONDS, [0.0, 0.0, 3.0])])
def test_bursts_are_left_out_for_a_while_after_a_complaint(after_seconds: float, pauses: list[float]) -> None:
    async def scenario() -> list[float]:
        governor = await governor_now()
        governor.rest(DM, 1.0)
        await asyncio.sleep(1.0 + after_seconds)
        return [time for _, time in await turns(governor, [DM] * 4)]

    times = play(scenario())

    assert [after - before for before, after in pairwise(times)] == pytest.approx(pauses)


def test_a_group_that_complained_is_called_again_as_soon_as_any_chat() -> None:
    async def scenario() -> list[float]:
        governor = await governor_now()
        governor.rest(GROUP, 1.0)
        return [time for _, time in await turns(governor, [GROUP] * 3)]

    assert play(scenario()) == pytest.approx([1.0, 2.0, 3.0])


def test_where_there_is_no_limit_nothing_waits() -> None:
    async def scenario() -> list[tuple[str, float]]:
        governor = await governor_now(UNPACED)
        return [*await turns(governor, [DM] * 50), (DM, governor.draft(DM))]

    assert play(scenario()) == [(DM, 0.0)] * 51


def test_one_rate_over_all_is_enough() -> None:
    async def scenario() -> list[tuple[str, float]]:
        return await turns(await governor_now(Rates(over_all=Rate(2, 1.0))), ["a", "b", "c"])

    assert play(scenario()) == [("a", 0.0), ("b", 0.0), ("c", 1.0)]

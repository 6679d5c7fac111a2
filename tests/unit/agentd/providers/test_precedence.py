"""These tests check that turns go before background requests."""

from __future__ import annotations

import asyncio

import pytest

from agentd.providers import precedence as module
from agentd.providers.precedence import MOST_CUTS, Precedence


class Work:
    """Work in the background that takes until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.cut = 0
        self.began = asyncio.Event()
        self.go_on = asyncio.Event()

    async def do(self) -> str:
        """Do it."""
        self.begun += 1
        self.began.set()
        try:
            await self.go_on.wait()
        except asyncio.CancelledError:
            self.cut += 1
            raise
        return "done"


async def test_work_waits_for_the_turns_that_are_under_way() -> None:
    precedence, work = Precedence(2, cuts=False), Work()
    work.go_on.set()
    await precedence.acquire()
    await precedence.acquire()
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(precedence.behind(work.do))
        await asyncio.sleep(0)
        begun = [work.begun]
        precedence.release()
        await asyncio.sleep(0)
        begun.append(work.begun)
        precedence.release()

    assert (begun, working.result()) == ([0, 0], "done")


async def test_work_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    precedence, work = Precedence(1, cuts=False), Work()
    work.go_on.set()
    await precedence.acquire()

    assert await precedence.behind(work.do) == "done"


async def test_where_the_model_does_one_thing_at_a_time_a_turn_breaks_work_off_and_it_is_begun_anew() -> None:
    precedence, work = Precedence(1, cuts=True), Work()
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(precedence.behind(work.do))
        await work.began.wait()
        await precedence.acquire()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        during = (work.begun, work.cut)
        work.began.clear()
        precedence.release()
        await work.began.wait()
        work.go_on.set()

    assert (during, working.result(), work.begun) == ((1, 1), "done", 2)


async def test_work_that_was_broken_off_often_goes_on() -> None:
    precedence, work = Precedence(1, cuts=True), Work()
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(precedence.behind(work.do))
        for _ in range(MOST_CUTS + 1):
            await work.began.wait()
            work.began.clear()
            await precedence.acquire()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            precedence.release()
        work.go_on.set()

    assert (working.result(), work.cut) == ("done", MOST_CUTS)


async def test_a_fault_of_the_works_own_is_its_own() -> None:
    async def fail() -> str:
        raise TimeoutError("the model's")

    with pytest.raises(TimeoutError, match="the model's"):
        await Precedence(1, cuts=True).behind(fail)


async def test_a_turn_that_gave_up_waiting_for_a_slot_keeps_nobody() -> None:
    precedence, work = Precedence(1, cuts=False), Work()
    work.go_on.set()
    await precedence.acquire()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await precedence.acquire()
    precedence.release()

    assert await precedence.behind(work.do) == "done"

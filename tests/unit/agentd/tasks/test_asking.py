"""These tests check background requests to the model: their cost is counted, and none is made without a budget."""

from __future__ import annotations

import asyncio
import math

import pytest

from agentd.providers.precedence import Precedence
from agentd.tasks.asking import BUDGET_SECONDS, Allowance, Asker
from agentd.tasks.queue import TaskFault, TaskPostponed
from memory.prompts import Ask
from tests.fakes.provider import FakeProvider

ASK = Ask("s" * 400, "u" * 800, {}, "memory", 700, 0.1)
ADA = "fake:ada"


def asker(provider: FakeProvider, allowance: Allowance) -> Asker:
    return Asker(provider, asyncio.Semaphore(1), Precedence(1, cuts=False), allowance)


def waiting(seconds: float, asked: list[tuple[str, int]]) -> Allowance:
    def wait(person: str, tokens: int) -> float:
        asked.append((person, tokens))
        return seconds

    return Allowance(wait, lambda person, tokens: None)


async def test_what_an_answer_may_cost_is_asked_for_first_and_what_it_cost_is_counted() -> None:
    provider, asked, spent = FakeProvider(), list[tuple[str, int]](), list[tuple[str, int]]()
    allowance = Allowance(waiting(0.0, asked).wait_seconds, lambda person, tokens: spent.append((person, tokens)))

    assert await asker(provider, allowance).on_behalf_of(ADA)(ASK) == "ok"
    assert asked == [(ADA, 300 + 700)]
    assert [person for person, _ in spent] == [ADA]


@pytest.mark.parametrize(("seconds", "again_after"), [(60.0, 60.0), (80_000.0, BUDGET_SECONDS)])
async def test_what_the_day_has_no_budget_for_waits_and_asks_nobody(seconds: float, again_after: float) -> None:
    provider = FakeProvider()
    with pytest.raises(TaskPostponed) as caught:
        await asker(provider, waiting(seconds, [])).on_behalf_of(ADA)(ASK)

    assert caught.value.seconds == again_after
    assert provider.requests == []


async def test_what_no_day_has_a_budget_for_fails_and_says_what_to_do() -> None:
    provider = FakeProvider()
    with pytest.raises(TaskFault, match=r"1000 tokens, and a whole day allows less: raise \[limits\]"):
        await asker(provider, waiting(math.inf, [])).on_behalf_of(ADA)(ASK)

    assert provider.requests == []

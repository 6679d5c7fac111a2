from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest
from structlog.testing import capture_logs

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, Restarted, TextDelta, Usage
from agentd.providers.breaker import FAILURES, FIRST_PAUSE_SECONDS, Breaker
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.fallback import FallingBack, Member, MemberState
from tests.fakes.provider import EndsBadly, FakeProvider

REQUEST = CompletionRequest((PromptMessage("user", "a planted prompt"),), 64, 0.5)
BUSY = ProviderRetryable("the main one is busy: try again", 7.0)
NO = ProviderRefused("the key was refused: set provider.api_key")


class Row:
    """Providers in a row, with a clock for their breakers."""

    def __init__(self, *fakes: FakeProvider) -> None:
        self.fakes = fakes
        self.now = 0.0
        self.breakers = [Breaker(lambda: self.now) for _ in fakes]
        self.provider = FallingBack(
            [
                Member(f"provider{number or ''}", fake, breaker)
                for number, (fake, breaker) in enumerate(zip(fakes, self.breakers, strict=True))
            ]
        )

    async def ask(self) -> list[Event]:
        return [event async for event in self.provider.stream(REQUEST)]

    async def fail(self) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.ask()
        return caught.value

    @property
    def asked(self) -> list[int]:
        return [len(fake.requests) for fake in self.fakes]


def two() -> Row:
    return Row(FakeProvider("main"), FakeProvider("second"))


def three() -> Row:
    return Row(FakeProvider("main"), FakeProvider("second"), FakeProvider("third"))


def ends(model: str) -> Finished:
    return Finished("stop", Usage(), model)


async def test_the_main_one_answers_alone_as_long_as_it_can() -> None:
    row = two()

    assert await row.ask() == [TextDelta("ok"), ends("main")]
    assert row.asked == [1, 0]


def test_the_row_has_the_main_ones_name_and_the_smallest_size() -> None:
    row = Row(FakeProvider("main", 200_000), FakeProvider("second"), FakeProvider("third", 4096)).provider

    assert (row.model, row.context_tokens) == ("main", 4096)
    assert two().provider.context_tokens is None


@pytest.mark.parametrize("fault", [BUSY, NO])
async def test_where_one_gives_up_the_next_answers_the_same_request(fault: ProviderError) -> None:
    row = three()
    row.fakes[0].enqueue(fault)
    row.fakes[1].enqueue(fault)

    assert await row.ask() == [TextDelta("ok"), ends("third")]
    assert all(fake.requests == [REQUEST] for fake in row.fakes)


async def test_text_of_one_that_gave_up_is_void_before_the_next_speaks() -> None:
    row = three()
    row.fakes[0].enqueue(TextDelta("He"), BUSY)
    row.fakes[1].enqueue(BUSY)
    row.fakes[2].enqueue(TextDelta("Hello"))

    assert await row.ask() == [TextDelta("He"), Restarted(), TextDelta("Hello"), ends("third")]


async def test_text_that_was_void_already_is_not_declared_so_again() -> None:
    row = two()
    row.fakes[0].enqueue(TextDelta("He"), Restarted(), BUSY)

    assert await row.ask() == [TextDelta("He"), Restarted(), TextDelta("ok"), ends("second")]


async def test_a_prompt_that_is_too_long_goes_up_and_counts_against_nobody() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(ContextTooLong("too long"))
        assert isinstance(await row.fail(), ContextTooLong)

    assert row.asked == [FAILURES, 0]
    assert row.breakers[0].pause_seconds == 0


async def test_one_that_says_a_prompt_is_too_long_is_back() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        await row.ask()
    row.now += FIRST_PAUSE_SECONDS
    row.fakes[0].enqueue(ContextTooLong("too long"))
    await row.fail()

    assert row.breakers[0].pause_seconds == 0


@pytest.mark.parametrize(
    ("build", "ending"),
    [(two, "; the fallback cannot answer either"), (three, "; the 2 fallbacks cannot answer either")],
)
async def test_where_all_give_up_the_main_ones_reason_is_told(build: Callable[[], Row], ending: str) -> None:
    row = build()
    row.fakes[0].enqueue(BUSY)
    for fake in row.fakes[1:]:
        fake.enqueue(ProviderRefused("something else"))
    fault = await row.fail()

    assert isinstance(fault, ProviderRetryable)
    assert str(fault) == f"{BUSY}{ending}"
    assert fault.retry_after_seconds == 7.0


async def test_a_refusal_of_the_main_one_stays_one() -> None:
    row = two()
    row.fakes[0].enqueue(NO)
    row.fakes[1].enqueue(BUSY)

    assert isinstance(await row.fail(), ProviderRefused)


async def test_one_that_fails_again_and_again_is_not_asked_until_its_pause_is_over() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(BUSY)
    for _ in range(FAILURES + 2):
        await row.ask()
    paused = row.asked
    row.now += FIRST_PAUSE_SECONDS
    after = [await row.ask(), await row.ask()]

    assert paused == [FAILURES, FAILURES + 2]
    assert after == [[TextDelta("ok"), ends("main")]] * 2


async def test_beside_a_trial_nobody_else_is_kept_waiting() -> None:
    row, answers = two(), asyncio.Event()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        await row.ask()
    row.now += FIRST_PAUSE_SECONDS
    row.fakes[0].enqueue(answers, TextDelta("back"))
    row.fakes[0].asked.clear()
    async with asyncio.TaskGroup() as tasks:
        trial = tasks.create_task(row.ask(), name="trial")
        await row.fakes[0].asked.wait()
        beside = await row.ask()
        answers.set()

    assert beside[-1] == ends("second")
    assert trial.result() == [TextDelta("back"), ends("main")]
    assert (await row.ask())[-1] == ends("main")


async def test_where_nobody_may_be_asked_the_first_to_be_free_is() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        row.fakes[1].enqueue(BUSY)
        await row.fail()
    row.fakes[0].enqueue(ProviderRetryable("still busy"))
    fault = await row.fail()

    assert row.asked == [FAILURES + 1, FAILURES]
    assert str(fault) == "still busy; the fallback cannot answer either"
    assert (await row.ask())[-1] == ends("second")


async def test_who_leaves_settles_nothing() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        await row.ask()
    row.now += FIRST_PAUSE_SECONDS
    row.fakes[0].enqueue(TextDelta("a"), TextDelta("b"))
    async with aclosing(row.provider.stream(REQUEST)) as events:
        await anext(events)

    assert row.fakes[0].closed == FAILURES + 1
    assert (await row.ask())[-1] == ends("main")


async def test_who_leaves_at_the_end_of_a_reply_has_had_an_answer() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        await row.ask()
    row.now += FIRST_PAUSE_SECONDS
    async with aclosing(row.provider.stream(REQUEST)) as events:
        while not isinstance(await anext(events), Finished):
            pass

    assert row.breakers[0].pause_seconds == 0


async def test_after_a_whole_reply_nobody_else_is_asked() -> None:
    row = Row(EndsBadly("main"), FakeProvider("second"))
    events = row.provider.stream(REQUEST)
    heard = [await anext(events), await anext(events)]
    with pytest.raises(ProviderRetryable):
        await anext(events)

    assert heard == [TextDelta("ok"), ends("main")]
    assert row.asked == [1, 0]


async def test_each_tells_how_it_is() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
        await row.ask()
    row.now += 10
    down = row.provider.look()
    row.now += FIRST_PAUSE_SECONDS
    await row.ask()

    second = MemberState("provider1", "second", "", 0)
    assert down == [MemberState("provider", "main", str(NO), 20.0), second]
    assert row.provider.look() == [MemberState("provider", "main", "", 0), second]


async def test_a_main_one_that_came_back_meanwhile_does_not_take_the_blame() -> None:
    row, fails = two(), asyncio.Event()
    row.fakes[0].enqueue(NO)
    row.fakes[1].enqueue(fails, ProviderRetryable("the second is busy"))
    async with asyncio.TaskGroup() as tasks:
        failing = tasks.create_task(row.fail(), name="failing")
        await row.fakes[1].asked.wait()
        await row.ask()
        fails.set()

    assert str(failing.result()).startswith("the second is busy; ")


async def test_what_happens_is_logged_without_the_prompt() -> None:
    row = two()
    for _ in range(FAILURES):
        row.fakes[0].enqueue(NO)
    with capture_logs() as logs:
        for _ in range(FAILURES):
            await row.ask()
        row.now += FIRST_PAUSE_SECONDS
        await row.ask()

    main = {"provider": "provider", "model": "main"}
    fell = {"event": "provider_fell_back", "log_level": "warning", "to": "provider1", "reason": str(NO), **main}
    opened = {"event": "provider_breaker_opened", "log_level": "warning", "pause_seconds": 30.0, **main}
    closed = {"event": "provider_breaker_closed", "log_level": "info", **main}
    assert logs == [fell, fell, opened, fell, closed]
    assert "planted" not in str(logs)

"""These tests check the small wrappers around a provider: its own sampling, and what is measured."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, Provider, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.observing import Gauges, Observed
from agentd.providers.sampling import Sampled
from agentd.providers.settings import ModelSettings
from tests.fakes.provider import FakeProvider

REQUEST = CompletionRequest((PromptMessage("user", "hi"),), 64, 0.5)


async def ask(provider: Provider) -> list[Event]:
    return [event async for event in provider.stream(REQUEST)]


@pytest.mark.parametrize(
    ("given", "max_output_tokens", "temperature"),
    [
        ({}, 64, 0.5),
        ({"temperature": 0}, 64, 0),
        ({"max_output_tokens": 16}, 16, 0.5),
        ({"max_output_tokens": 4096, "temperature": 1}, 64, 1),
    ],
)
async def test_only_what_a_section_sets_changes_the_sampling(
    given: dict[str, float], max_output_tokens: int, temperature: float
) -> None:
    fake = FakeProvider("small", 4096)
    sampled = Sampled(fake, ModelSettings.model_validate(given))
    events = await ask(sampled)

    assert fake.requests == [CompletionRequest(REQUEST.messages, max_output_tokens, temperature)]
    assert events == [TextDelta("ok"), Finished("stop", Usage(), "small")]
    assert (sampled.model, sampled.context_tokens) == ("small", 4096)


class Figures:
    """What was measured, with a clock that goes on by two seconds at each look."""

    def __init__(self) -> None:
        self.seen: list[tuple[object, ...]] = []
        self._now = 0.0

    def observed(self, fake: FakeProvider) -> Observed:
        gauges = Gauges(
            observe_seconds=lambda *figures: self.seen.append(figures),
            count_tokens=lambda *figures: self.seen.append(figures),
            count_error=lambda *figures: self.seen.append(figures),
        )
        return Observed(fake, gauges, self._look)

    def _look(self) -> float:
        self._now += 2
        return self._now


async def test_a_reply_is_measured_by_the_configured_name_of_its_model() -> None:
    figures, fake = Figures(), FakeProvider("small")
    fake.enqueue(TextDelta("a"), Finished("stop", Usage(10, 3, 8), "small-2026-01-01"))
    await ask(figures.observed(fake))

    assert figures.seen == [("small", 2.0), ("small", "input", 10), ("small", "output", 3), ("small", "cached", 8)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (ProviderRetryable("x"), "retryable"),
        (ContextTooLong("x"), "too_long"),
        (ProviderRefused("x"), "refused"),
    ],
)
async def test_a_failure_is_counted_by_its_reason(fault: ProviderError, reason: str) -> None:
    figures, fake = Figures(), FakeProvider()
    fake.enqueue(TextDelta("a"), fault)
    with pytest.raises(type(fault)):
        await ask(figures.observed(fake))

    assert figures.seen == [(reason,)]


async def test_what_nobody_waited_for_is_not_measured() -> None:
    figures, fake = Figures(), FakeProvider()
    async with aclosing(figures.observed(fake).stream(REQUEST)) as events:
        await anext(events)

    assert figures.seen == []
    assert fake.closed == 1

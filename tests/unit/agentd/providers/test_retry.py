from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest
import stamina
from structlog.testing import capture_logs

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, Restarted, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.retry import BRIEF, PATIENT, Retrying, describe_wait, wait_before_next
from tests.fakes.provider import EndsBadly, FakeProvider

REQUEST = CompletionRequest((PromptMessage("user", "a planted prompt"),), 64, 0.5)
END = Finished("stop", Usage(), "fake")
BUSY = ProviderRetryable("busy")


@pytest.fixture(autouse=True)
def without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


async def ask(fake: FakeProvider) -> list[Event]:
    return [event async for event in Retrying(fake).stream(REQUEST)]


async def test_a_reply_at_the_first_attempt_passes_through() -> None:
    fake = FakeProvider(model="large", context_tokens=4096)
    retrying = Retrying(fake)

    assert [event async for event in retrying.stream(REQUEST)] == [TextDelta("ok"), Finished("stop", Usage(), "large")]
    assert (retrying.model, retrying.context_tokens) == ("large", 4096)
    assert fake.requests == [REQUEST]


async def test_the_same_request_is_made_again_when_it_may_succeed() -> None:
    fake = FakeProvider()
    fake.enqueue(BUSY)
    fake.enqueue(BUSY)

    assert await ask(fake) == [TextDelta("ok"), END]
    assert fake.requests == [REQUEST] * 3


async def test_after_four_attempts_the_last_fault_is_told() -> None:
    fake = FakeProvider()
    for number in range(1, 6):
        fake.enqueue(ProviderRetryable(f"busy {number}"))

    with pytest.raises(ProviderRetryable, match="busy 4"):
        await ask(fake)
    assert len(fake.requests) == 4


@pytest.mark.parametrize("fault", [ProviderRefused("no"), ContextTooLong("long")])
async def test_what_cannot_succeed_is_not_tried_again(fault: ProviderError) -> None:
    fake = FakeProvider()
    fake.enqueue(TextDelta("a"), fault)

    with pytest.raises(type(fault)) as caught:
        await ask(fake)
    assert caught.value is fault
    assert len(fake.requests) == 1


async def test_text_of_a_broken_attempt_is_declared_void_before_the_next() -> None:
    fake = FakeProvider()
    fake.enqueue(TextDelta("He"), TextDelta("l"), BUSY)
    fake.enqueue(BUSY)
    fake.enqueue(TextDelta("Hell"), BUSY)
    fake.enqueue(TextDelta("Hello"))

    assert await ask(fake) == [
        TextDelta("He"),
        TextDelta("l"),
        Restarted(),
        TextDelta("Hell"),
        Restarted(),
        TextDelta("Hello"),
        END,
    ]


async def test_an_empty_reply_after_text_is_a_restart_too() -> None:
    fake = FakeProvider()
    fake.enqueue(TextDelta("He"), BUSY)
    fake.enqueue(END)

    assert await ask(fake) == [TextDelta("He"), Restarted(), END]


async def test_a_retry_is_logged_without_the_prompt() -> None:
    fake = FakeProvider()
    fake.enqueue(ProviderRetryable("busy", retry_after_seconds=7.0))
    with capture_logs() as logs:
        await ask(fake)

    assert [entry for entry in logs if entry["event"] == "provider_retry_scheduled"] == [
        {
            "event": "provider_retry_scheduled",
            "log_level": "warning",
            "reason": "busy",
            "wait_seconds": 7.0,
            "attempt": 1,
        }
    ]
    assert "planted" not in str(logs)


async def test_the_last_attempt_schedules_nothing() -> None:
    fake = FakeProvider()
    for _ in range(4):
        fake.enqueue(BUSY)
    with capture_logs() as logs, pytest.raises(ProviderRetryable):
        await ask(fake)

    assert [entry["attempt"] for entry in logs if entry["event"] == "provider_retry_scheduled"] == [1, 2, 3]


async def test_a_long_wait_is_told_instead_of_waited() -> None:
    fake = FakeProvider()
    fake.enqueue(ProviderRetryable("too many requests", retry_after_seconds=300))
    with capture_logs() as logs, pytest.raises(ProviderRetryable) as caught:
        await ask(fake)

    assert str(caught.value) == "too many requests (it wants 5 minutes to pass first)"
    assert caught.value.retry_after_seconds == 300
    assert len(fake.requests) == 1
    assert logs == []


async def test_where_somebody_else_can_be_asked_a_slow_failure_is_the_last() -> None:
    fake, times = FakeProvider(), iter([0.0, 1.0, BRIEF.all_seconds])
    for number in range(1, 4):
        fake.enqueue(ProviderRetryable(f"silent {number}"))
    with capture_logs() as logs, pytest.raises(ProviderRetryable, match="silent 2"):
        async for _ in Retrying(fake, limits=BRIEF, monotonic=lambda: next(times)).stream(REQUEST):
            pass

    assert len(fake.requests) == 2
    assert [entry["attempt"] for entry in logs if entry["event"] == "provider_retry_scheduled"] == [1]


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (BUSY, True),
        (ProviderRetryable("x", retry_after_seconds=0.0), 0.0),
        (ProviderRetryable("x", retry_after_seconds=1.5), 1.5),
        (ProviderRetryable("x", retry_after_seconds=60.0), 60.0),
        (ProviderRetryable("x", retry_after_seconds=60.1), False),
        (ProviderRefused("x"), False),
        (ValueError("a bug"), False),
    ],
)
def test_the_servers_wait_is_kept_exactly_or_not_at_all(fault: Exception, wait: bool | float) -> None:
    decided = wait_before_next(fault, PATIENT.asked_seconds)

    assert (decided, type(decided)) == (wait, type(wait))


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(60.1, "61 seconds"), (121, "3 minutes"), (300, "5 minutes"), (7201, "3 hours"), (86_400, "24 hours")],
)
def test_a_wait_is_told_in_a_fitting_unit(seconds: float, words: str) -> None:
    assert describe_wait(seconds) == words


async def test_closing_early_closes_the_provider_inside() -> None:
    fake = FakeProvider()
    fake.enqueue(TextDelta("a"), TextDelta("b"))
    async with aclosing(Retrying(fake).stream(REQUEST)) as events:
        first = await anext(events)

    assert first == TextDelta("a")
    assert fake.closed == 1
    assert len(fake.requests) == 1


async def test_a_cancellation_ends_it_at_once() -> None:
    fake = FakeProvider()
    fake.enqueue(TextDelta("a"), asyncio.Event())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await ask(fake)

    assert fake.closed == 1
    assert len(fake.requests) == 1


@pytest.mark.parametrize("event", [TextDelta("ok"), END])
async def test_nobody_is_asked_again_once_nobody_listens(event: Event) -> None:
    fake = EndsBadly()
    events = Retrying(fake).stream(REQUEST)
    while await anext(events) != event:
        pass
    with pytest.raises(ProviderRetryable, match="busy"):
        await events.aclose()

    assert len(fake.requests) == 1

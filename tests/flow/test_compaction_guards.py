"""These tests check the guards of compaction: failing, hanging and costly summaries, and retries after them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from pathlib import Path

from agentd.admission.settings import LimitsSettings
from agentd.admission.spending import Spending
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens
from agentd.conversation.settings import AgentSettings
from agentd.conversation.wiring import SummaryTimes
from agentd.providers.base import CompletionRequest, Event, TextDelta
from agentd.providers.errors import ProviderRefused
from channels.backoff import Growing
from tests.fakes.provider import FakeProvider
from tests.fakes.scribe import Scribe
from tests.flow.stage import START, daemon
from tests.flow.test_compaction import LONG, compacted, compactions, model, say, texts

MANY = AgentSettings(max_history_messages=1_000)
DEFAULT_TIMES = SummaryTimes()


class MoodyScribe(Scribe):
    """Answers each request in its own way: `None` is a summary, an event is waited for."""

    def __init__(self, *moods: Exception | asyncio.Event | None) -> None:
        super().__init__()
        self._moods = deque(moods)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Be as the next mood says."""
        mood = self._moods.popleft() if self._moods else None
        self.answer = mood if isinstance(mood, Exception) else None
        self.gate = mood if isinstance(mood, asyncio.Event) else None
        async for event in super().stream(request):
            yield event


def served_by(scribe: Scribe, times: SummaryTimes = DEFAULT_TIMES) -> FakeProvider:
    provider = FakeProvider()
    provider.background, provider.summary_times = scribe, times
    return provider


async def test_guard_4_what_was_done_before_a_failure_stays_done(tmp_path: Path) -> None:
    provider = served_by(scribe := MoodyScribe(None, ProviderRefused("no credit")))
    async with daemon(tmp_path, provider=provider, settings=MANY) as stage:
        await say(stage, *(LONG for _ in range(14)), "/compact")
        first = [record["covers"] for record in compactions(stage)]
        told = stage.channel.texts[-1]
        await stage.say("/compact")

        assert len(first) == 1
        assert "turns are now part of the summary. I could not make a summary: no credit" in told
        assert "- summary 1" in scribe.requests[-1].messages[-1].content
        assert compactions(stage)[-1]["covers"][1] > first[0][1]


async def test_guard_4_each_summary_has_its_own_time_and_one_that_hangs_is_given_up(tmp_path: Path) -> None:
    provider = served_by(MoodyScribe(None, asyncio.Event()), SummaryTimes(call_seconds=0.05))
    async with daemon(tmp_path, provider=provider, settings=MANY) as stage:
        await say(stage, *(LONG for _ in range(14)), "/compact", "goes on")

        assert len(compactions(stage)) == 1
        assert "took more than 0.05 s" in "\n".join(stage.channel.texts)
        assert texts(stage)[-1] == "goes on"


async def test_guard_4_after_each_failure_the_next_try_comes_later(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.answer = ProviderRefused("no credit")
    provider.summary_times = SummaryTimes(pause=Growing(40, 100))
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG, LONG, LONG)
        for _ in range(3):
            await say(stage, "/compact", "/status")

        pauses = [
            text.split("I try again in ")[1].split(" s")[0] for text in stage.channel.texts if "try again" in text
        ]
        assert [int(pause) in (most, most - 1) for pause, most in zip(pauses, (40, 80, 100), strict=True)] == [True] * 3


async def test_guard_5_a_turn_that_cannot_have_a_summary_says_what_it_leaves_out(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.answer = ProviderRefused("no credit")
    settings = AgentSettings(max_context_tokens=2_000, max_history_messages=1_000)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        await say(stage, *(LONG + word for word in ("a", "b", "c", "d")))

        assert stage.prompt()[0][1].endswith("left out here: they do not fit.]")
        assert texts(stage)[-1] == LONG + "d"
        assert len([record for record in stage.records() if record.get("role") == "user"]) == 4


async def test_guard_11_system_summary_turns_and_reply_are_within_the_context_together(tmp_path: Path) -> None:
    provider, scribe = model()
    scribe.answer = "- word " * 60
    settings = AgentSettings(max_context_tokens=4_000, system_prompt="You are kind. " * 30)
    async with daemon(tmp_path, provider=provider, settings=settings) as stage:
        for number in range(14):
            await stage.say(f"{number} {'word ' * 150}")
        await compacted(stage)
        await stage.say("last")

        for request in provider.requests:
            costs = [estimate_tokens(message.content) + MESSAGE_OVERHEAD_TOKENS for message in request.messages]
            assert sum(costs) * 1.3 + request.max_output_tokens <= 4_000


class BreakingScribe(Scribe):
    """Says much, and breaks off."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Never come to an end."""
        self.requests.append(request)
        yield TextDelta("- word " * 100)
        raise ProviderRefused("broken")


async def test_what_a_summary_cost_counts_where_it_broke_off_too(tmp_path: Path) -> None:
    provider = served_by(BreakingScribe())
    provider.spending = spending = Spending(LimitsSettings(), {}, lambda: START)
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG, LONG, LONG)
        before = spending.take_changed()["2026-01-01", "fake:ada"]
        await stage.say("/compact")

        assert spending.take_changed()["2026-01-01", "fake:ada"] > before + 800


async def test_a_day_that_is_used_up_has_no_summary_either_and_that_is_said(tmp_path: Path) -> None:
    provider, scribe = model()
    limits = LimitsSettings(tokens_per_person_per_day=5_000)
    provider.spending = spending = Spending(limits, {("2026-01-01", "fake:ada"): 2_500}, lambda: START)
    async with daemon(tmp_path, provider=provider) as stage:
        await say(stage, LONG, LONG)
        spending.spend("fake:ada", 2_000)
        await stage.say("/compact")

        assert scribe.requests == []
        assert "Your budget of tokens for today does not cover" in stage.channel.texts[-1]
        assert ".. " not in stage.channel.texts[-1]

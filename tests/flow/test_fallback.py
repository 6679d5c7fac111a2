"""These tests check a model that does not answer: which model answers instead, and what a person sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import stamina
from aiohttp import web
from structlog.testing import capture_logs

from tests.flow.bot import ADA, Bot, open_bot
from tests.flow.process import scrape
from tests.platforms.anthropic_behaviours import overloaded, unauthorised
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.openai_behaviours import failing
from tests.platforms.openai_server import Behaviour, Call
from tests.platforms.telegram_server import texts

ATTEMPTS = 4


def breaks_off(text: str, gate: asyncio.Event) -> Behaviour:
    """Say this, and break the connection once the gate is open."""

    async def behave(call: Call) -> web.StreamResponse:
        await call.open()
        await call.say(text)
        await gate.wait()
        call.drop()
        return call.response

    return behave


@pytest.fixture(autouse=True)
def without_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=99, cap=True):
        yield


@dataclass
class Pair:
    """A bot whose main model has a fallback, which always says the same."""

    bot: Bot
    fallback: AnthropicServer

    @property
    def config(self) -> str:
        return (
            f'[[provider.fallbacks]]\nkind = "anthropic"\nbase_url = "{self.fallback.base_url}"\n'
            'model = "spare"\napi_key = "sk-spare"\n'
        )

    async def exchange(self, text: str, number: int) -> None:
        """Say something as the `number`-th, and wait for what becomes of it."""
        self.bot.telegram.post(text)
        await self.bot.settled(number)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with open_bot(tmp_path) as bot, AnthropicServer(answer="I stand in.") as fallback:
        yield Pair(bot, fallback)


async def test_while_the_main_model_is_down_the_fallback_answers_once(pair: Pair) -> None:
    pair.bot.model.enqueue(*[failing()] * ATTEMPTS)
    async with pair.bot.run(pair.config):
        await pair.exchange("Hello", 1)
        await pair.exchange("Again", 2)

    assert texts(pair.bot.telegram.screen(ADA)) == ["I stand in.", "You said: Again"]
    assert [asked.last_user_text for asked in pair.fallback.requests] == ["Hello"]
    assert [reply["model"] for reply in pair.bot.records("assistant")] == ["spare", "test"]
    assert pair.bot.records("failure") == []


async def test_visible_text_that_broke_off_gives_way_to_the_fallbacks_answer(pair: Pair) -> None:
    gate = asyncio.Event()
    pair.bot.model.enqueue(breaks_off("A beginning without", gate), *[failing()] * (ATTEMPTS - 1))
    async with pair.bot.run(pair.config):
        pair.bot.telegram.post("Hello")
        draft = await pair.bot.shows("A beginning")
        gate.set()
        await pair.bot.settled()

    [shown] = pair.bot.telegram.screen(ADA)
    assert (shown.message_id, shown.text) == (draft.message_id, "I stand in.")
    [reply] = pair.bot.records("assistant")
    assert (reply["content"], reply["outcome"]) == ("I stand in.", "complete")


async def test_where_nobody_answers_a_sentence_says_so_and_the_next_message_works(pair: Pair) -> None:
    pair.bot.model.enqueue(*[failing()] * ATTEMPTS)
    pair.fallback.enqueue(*[overloaded()] * ATTEMPTS)
    async with pair.bot.run(pair.config):
        await pair.exchange("Hello", 1)
        await pair.exchange("Again", 2)

    told, answer = texts(pair.bot.telegram.screen(ADA))
    [failure], [said, _] = pair.bot.records("failure"), pair.bot.records("user")
    assert "cannot answer at the moment (HTTP 500): try again later; the fallback cannot answer either" in told
    assert said["trace"] in told
    assert (failure["reason"], failure["answers"], failure["told"]) == ("provider", [said["seq"]], True)
    assert answer == "You said: Again"


async def test_a_model_that_failed_three_times_is_not_asked_for_a_while(pair: Pair) -> None:
    pair.bot.model.enqueue(*[failing()] * ATTEMPTS * 3)
    people = range(ADA, ADA + 5)  # each in a chat of their own, where nothing has to wait for the platform's rates
    async with pair.bot.run(pair.config):
        for number, person in enumerate(people, 1):
            pair.bot.telegram.post("Hello", sender=person, chat=person)
            await pair.bot.settled(number)

    assert len(pair.bot.model.requests) == ATTEMPTS * 3
    assert [texts(pair.bot.telegram.screen(person)) for person in people] == [["I stand in."]] * 5


async def test_a_refused_key_of_the_fallback_is_never_shown(pair: Pair) -> None:
    pair.bot.model.enqueue(*[failing()] * ATTEMPTS)
    pair.fallback.enqueue(unauthorised())
    async with pair.bot.run(pair.config):
        await pair.exchange("Hello", 1)

    [told] = texts(pair.bot.telegram.screen(ADA))
    assert "sk-spare" not in told
    assert len(pair.fallback.requests) == 1


async def test_what_each_model_did_is_on_the_port_of_the_metrics(pair: Pair) -> None:
    pair.bot.model.enqueue(*[failing()] * ATTEMPTS)
    with capture_logs() as logs:
        async with pair.bot.run(f'{pair.config}[service]\nmetrics_listen = "127.0.0.1:0"'):
            await pair.exchange("Hello", 1)
            [port] = [log["port"] for log in logs if log["event"] == "metrics_served"]
            figures = (await asyncio.to_thread(scrape, port)).splitlines()

    [asked] = pair.fallback.requests
    heard = len(f"{asked.body.system and asked.body.system[0].text} {asked.last_user_text}".split())
    assert f'agentd_provider_errors_total{{reason="retryable"}} {ATTEMPTS}.0' in figures
    assert 'agentd_provider_seconds_count{model="spare"} 1.0' in figures
    assert f'agentd_tokens_total{{kind="input",model="spare"}} {heard}.0' in figures
    assert 'agentd_tokens_total{kind="output",model="spare"} 3.0' in figures
    assert 'agentd_tokens_total{kind="cached",model="spare"} 0.0' in figures

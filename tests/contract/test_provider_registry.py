"""These tests check that the settings decide which model is asked: the main, the fallback, the background one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, Provider, TextDelta
from agentd.providers.errors import ProviderError, ProviderRefused
from agentd.providers.observing import Gauges
from agentd.providers.registry import open_background, open_provider
from agentd.providers.settings import ProviderSettings
from tests.fakes.provider import FakeProvider
from tests.platforms import anthropic_behaviours, openai_behaviours
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.openai_server import OpenAIServer

REQUEST = CompletionRequest((PromptMessage("user", "hi"),), 64, 0.5)


@pytest.fixture
async def main() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer(answer="main") as running:
        yield running


@pytest.fixture
async def other() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer(answer="other") as running:
        yield running


def settings(main: OpenAIServer, **more: object) -> ProviderSettings:
    return ProviderSettings.model_validate({"kind": "openai", "base_url": main.base_url, "model": "large", **more})


def table(other: AnthropicServer, **more: object) -> dict[str, object]:
    return {"kind": "anthropic", "base_url": other.base_url, "model": "small", "api_key": "sk", **more}


def ignore(_line: str) -> None:
    pass


async def ask(provider: Provider) -> list[Event]:
    return [event async for event in provider.stream(REQUEST)]


async def text_of(provider: Provider) -> str:
    return "".join(event.text for event in await ask(provider) if isinstance(event, TextDelta))


async def test_a_fallback_answers_with_its_own_sampling_and_its_own_name(
    main: OpenAIServer, other: AnthropicServer
) -> None:
    main.enqueue(openai_behaviours.unauthorised())
    chosen = settings(main, fallbacks=[table(other, temperature=0.1, max_output_tokens=32)])
    async with open_provider(chosen, ignore) as provider:
        *_, end = await ask(provider)
        again = await text_of(provider)

    assert isinstance(end, Finished)
    assert (provider.model, end.model, again) == ("large", "small", "main")
    [asked] = other.requests
    assert (asked.body.temperature, asked.body.max_tokens) == (0.1, 32)


async def test_a_main_one_that_wants_a_wait_is_not_waited_for(main: OpenAIServer, other: AnthropicServer) -> None:
    main.enqueue(openai_behaviours.rate_limited("20"))
    async with open_provider(settings(main, fallbacks=[table(other)]), ignore) as provider:
        answer = await text_of(provider)

    assert answer == "other"
    assert len(main.requests) == 1


async def test_each_fault_names_the_section_that_it_is_about(main: OpenAIServer, other: AnthropicServer) -> None:
    other.enqueue(anthropic_behaviours.unauthorised(), anthropic_behaviours.unauthorised())
    chosen = settings(main, background=table(other))
    reasons = []
    async with AsyncExitStack() as opened:
        first = await opened.enter_async_context(open_provider(chosen, ignore))
        background = await opened.enter_async_context(open_background(chosen, first, ignore))
        swapped = ProviderSettings.model_validate(table(other))
        alone = await opened.enter_async_context(open_provider(swapped, ignore))
        for provider in (background, alone):
            with pytest.raises(ProviderError) as caught:
                await ask(provider)
            reasons.append(str(caught.value))

    assert [reason.rpartition(": ")[2] for reason in reasons] == [
        "set provider.background.api_key",
        "set provider.api_key",
    ]


async def test_a_fallback_without_its_file_is_told_at_the_start(main: OpenAIServer) -> None:
    pytest.importorskip("xllamacpp")
    chosen = settings(main, fallbacks=[{"kind": "local", "model": "/nowhere/a.gguf"}])
    with pytest.raises(ProviderRefused, match=r"provider\.fallbacks\[0\]\.model names a file that does not exist"):
        async with open_provider(chosen, ignore):
            pass


async def test_the_background_has_its_own_model_where_one_is_set(main: OpenAIServer, other: AnthropicServer) -> None:
    chosen, plain = settings(main, background=table(other)), settings(main)
    async with open_provider(chosen, ignore) as provider:
        async with open_background(chosen, provider, ignore) as background:
            answers = [await text_of(provider), await text_of(background)]
        async with open_background(plain, provider, ignore) as same:
            assert same is provider

    assert answers == ["main", "other"]


async def test_the_embedded_model_is_not_loaded_a_second_time() -> None:
    chosen = ProviderSettings.model_validate({"kind": "local", "background": {"kind": "local", "temperature": 0}})
    embedded = FakeProvider()
    async with open_background(chosen, embedded, ignore) as background:
        answer = await text_of(background)

    assert answer == "ok"
    assert [request.temperature for request in embedded.requests] == [0]


async def test_every_model_is_measured(main: OpenAIServer, other: AnthropicServer) -> None:
    main.enqueue(openai_behaviours.unauthorised())
    errors: list[str] = []
    tokens: dict[tuple[str, str], int] = {}
    gauges = Gauges(
        count_error=errors.append, count_tokens=lambda model, kind, count: tokens.update({(model, kind): count})
    )
    async with open_provider(settings(main, fallbacks=[table(other)]), ignore, gauges) as provider:
        await ask(provider)

    assert errors == ["refused"]
    assert tokens == {("small", "input"): 1, ("small", "output"): 1, ("small", "cached"): 0}

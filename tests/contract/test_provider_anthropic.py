"""These tests check what is specific to Anthropic's protocol: headers, cache, refused parameters, images."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from agentd.providers.anthropic import ANTHROPIC
from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, Finished, Image, PromptMessage, TextDelta, Usage
from agentd.providers.errors import ProviderRefused
from agentd.providers.remote import RemoteProvider, open_remote
from tests.contract.model_stands import KEY, REQUEST, ask, fail, settings
from tests.platforms import anthropic_behaviours as behaviours
from tests.platforms.anthropic_server import VERSION, AnthropicServer, ImageBlock

LATER = CompletionRequest(
    (*REQUEST.messages, PromptMessage("assistant", "an answer"), PromptMessage("user", "and a question")), 64, 0.7
)
PICTURE = Image("image/jpeg", b"\xff\xd8 a picture")
HEARD = [{"role": "user", "content": [{"type": "text", "text": "a"}]}]
FULL = {"model": "m", "max_tokens": 1, "messages": HEARD}
MARKED = {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}


@pytest.fixture
async def server() -> AsyncIterator[AnthropicServer]:
    async with AnthropicServer() as running:
        yield running


@pytest.fixture
async def provider(server: AnthropicServer) -> AsyncIterator[RemoteProvider]:
    async with open_remote(settings(server.base_url), ANTHROPIC, "provider.fallbacks[0]") as opened:
        yield opened


async def test_the_request_says_what_was_asked(provider: RemoteProvider, server: AnthropicServer) -> None:
    await ask(provider)

    (asked,) = server.requests
    assert asked.last_user_text == "a planted prompt"
    assert (asked.body.model, asked.body.max_tokens, asked.body.temperature) == ("tiny", 64, 0.7)
    assert asked.headers["x-api-key"] == KEY
    assert asked.headers["anthropic-version"] == VERSION
    assert "authorization" not in asked.headers


async def test_the_cache_is_asked_for_and_what_it_gave_is_told(
    provider: RemoteProvider, server: AnthropicServer
) -> None:
    await ask(provider)
    end = (await ask(provider, LATER))[-1]

    assert [asked.marked for asked in server.requests] == [["be brief"], ["be brief", "an answer"]]
    assert end == Finished("stop", Usage(10, 5, 7), "tiny")


async def test_thoughts_are_not_part_of_the_reply(provider: RemoteProvider, server: AnthropicServer) -> None:
    server.enqueue(behaviours.thoughtful("hm", "yes"))

    assert await ask(provider) == [TextDelta("yes"), Finished("stop", Usage(0, 1), "tiny")]


@pytest.mark.parametrize("names", [["temperature"], ["cache_control"], ["cache_control", "temperature"]])
async def test_a_parameter_that_was_refused_is_not_sent_again(
    provider: RemoteProvider, server: AnthropicServer, names: list[str]
) -> None:
    server.enqueue(*(behaviours.refuse_parameter(name) for name in names))
    await ask(provider)
    await ask(provider, LATER)

    assert len(server.requests) == len(names) + 2
    for asked in server.requests[-2:]:
        assert (asked.body.temperature is None) is ("temperature" in names)
        assert (asked.marked == []) is ("cache_control" in names)


async def test_images_are_sent_with_their_type(provider: RemoteProvider, server: AnthropicServer) -> None:
    await ask(provider, CompletionRequest((PromptMessage("user", "What is this?", (PICTURE,)),), 64, 0.7))

    image, _ = server.requests[0].body.messages[0].content
    assert isinstance(image, ImageBlock)
    assert (image.source.media_type, image.source.data) == (
        "image/jpeg",
        base64.b64encode(PICTURE.content).decode(),
    )


async def test_a_server_that_refuses_images_is_asked_without_them_from_then_on(
    provider: RemoteProvider, server: AnthropicServer
) -> None:
    server.enqueue(behaviours.fault(400, "messages.0.content.0: this model does not support image input"))
    shown = CompletionRequest((PromptMessage("user", "What is this?", (PICTURE,)),), 64, 0.7)
    await ask(provider, shown)
    await ask(provider, shown)

    texts = [asked.last_user_text for asked in server.requests]
    assert texts == ["What is this?", *[f"What is this?\n\n{UNSEEN_NOTE}"] * 2]


async def test_a_refused_key_is_told_with_the_section_that_holds_it(
    provider: RemoteProvider, server: AnthropicServer
) -> None:
    server.enqueue(behaviours.unauthorised(), behaviours.no_credit())
    refused, empty = await fail(provider), await fail(provider)

    assert isinstance(refused, ProviderRefused)
    assert str(refused).endswith("refused the key: set provider.fallbacks[0].api_key")
    assert "has no credit left" in str(empty)
    assert str(empty).endswith("or set another provider.fallbacks[0].api_key")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, 200),
        ({"stream": True}, 200),
        ({"path": "/v1/complete"}, 404),
        ({"method": "GET"}, 405),
        ({"x-api-key": ""}, 401),
        ({"anthropic-version": "1"}, 400),
        ({"content-type": "text/plain"}, 400),
        ({"max_tokens": None}, 400),
        ({"max_tokens": 0}, 400),
        ({"temperature": 1.5}, 400),
        ({"seed": 1}, 400),
        ({"messages": []}, 400),
        ({"messages": [{"role": "assistant", "content": HEARD[0]["content"]}]}, 400),
        ({"messages": [*HEARD, *HEARD]}, 400),
        ({"messages": [{"role": "user", "content": []}]}, 400),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, 400),
        ({"messages": [{"role": "system", "content": HEARD[0]["content"]}]}, 400),
        ({"messages": [{"role": "user", "content": [MARKED] * 5}]}, 400),
        ({"system": [{"type": "text", "text": "a", "x": 1}]}, 400),
    ],
)
async def test_the_server_of_the_tests_is_strict(
    server: AnthropicServer, change: dict[str, object], status: int
) -> None:
    headers = {"x-api-key": "k", "anthropic-version": VERSION, "content-type": "application/json"}
    headers |= {name: str(value) for name, value in change.items() if name in headers}
    body = {**FULL, **{name: value for name, value in change.items() if name not in {*headers, "path", "method"}}}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(
            str(change.get("method", "POST")),
            server.base_url + str(change.get("path", "/v1/messages")),
            json={name: value for name, value in body.items() if value is not None},
            headers=headers,
        )

    assert response.status_code == status
    if status >= 400:
        assert response.json()["type"] == "error"

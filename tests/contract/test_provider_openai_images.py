"""These tests check images for servers that speak Chat Completions, with and without support for them."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, Event, Finished, Image, PromptMessage
from agentd.providers.errors import ProviderError
from agentd.providers.openai import OPENAI
from agentd.providers.remote import RemoteProvider, open_remote
from agentd.providers.settings import ModelSettings
from tests.platforms.openai_behaviours import fault, rate_limited
from tests.platforms.openai_server import OpenAIServer

PICTURE, DRAWING = Image("image/jpeg", b"\xff\xd8 a picture"), Image("image/png", b"\x89PNG a drawing")


def request(*images: Image) -> CompletionRequest:
    messages = (PromptMessage("system", "Be kind."), PromptMessage("user", "What is this?", images))
    return CompletionRequest(messages, 64, 0.7)


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[RemoteProvider]:
    settings = ModelSettings(
        kind="openai",
        base_url=server.base_url,
        model="tiny",
        api_key=SecretStr("sk"),
        max_output_tokens=64,
        temperature=0.7,
        timeout_seconds=30,
    )
    async with open_remote(settings, OPENAI, "provider") as opened:
        yield opened


async def ask(provider: RemoteProvider, *images: Image) -> list[Event]:
    return [event async for event in provider.stream(request(*images))]


async def test_images_are_sent_in_the_address_with_their_type(provider: RemoteProvider, server: OpenAIServer) -> None:
    await ask(provider, PICTURE, DRAWING)

    [asked] = server.requests
    message = asked.body.messages[-1]
    assert message.content == "What is this?"
    assert message.images == tuple(
        f"data:{image.media_type};base64,{base64.b64encode(image.content).decode()}" for image in (PICTURE, DRAWING)
    )


async def test_a_message_without_images_is_plain_text(provider: RemoteProvider, server: OpenAIServer) -> None:
    await ask(provider)

    assert server.requests[0].body.messages[-1].images == ()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "This model does not support image input."),
        (400, "Invalid content type. image_url is only supported by certain models."),
        (404, "No endpoints found that support image input"),
        (422, "messages.1.content: Input should be a valid string"),
        (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    ],
)
async def test_a_server_that_refuses_images_is_asked_without_them_from_then_on(
    provider: RemoteProvider, server: OpenAIServer, status: int, words: str
) -> None:
    server.enqueue(fault(status, words))
    events = await ask(provider, PICTURE)
    await ask(provider, DRAWING)

    assert isinstance(events[-1], Finished)
    assert [len(asked.body.messages[-1].images) for asked in server.requests] == [1, 0, 0]
    assert all(asked.last_user_text == f"What is this?\n\n{UNSEEN_NOTE}" for asked in server.requests[1:])


async def test_a_refusal_that_goes_on_without_images_is_believed(
    provider: RemoteProvider, server: OpenAIServer
) -> None:
    server.enqueue(*[fault(400, "This model does not support image input.")] * 2)

    with pytest.raises(ProviderError):
        await ask(provider, PICTURE)
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "words",
    [
        "You uploaded an unsupported image. Please make sure your image is valid.",
        "Could not process image",
        "Invalid image data",
    ],
)
async def test_one_bad_image_costs_the_others_nothing(
    provider: RemoteProvider, server: OpenAIServer, words: str
) -> None:
    server.enqueue(fault(400, words))
    await ask(provider, DRAWING)
    await ask(provider, PICTURE)

    assert [len(asked.body.messages[-1].images) for asked in server.requests] == [1, 0, 1]


async def test_a_limit_of_calls_that_names_a_model_with_vision_is_no_word_about_images(
    provider: RemoteProvider, server: OpenAIServer
) -> None:
    server.enqueue(fault(429, "Rate limit reached for gpt-4-vision-preview on tokens per min"))
    with pytest.raises(ProviderError):
        await ask(provider, PICTURE)

    assert len(server.requests) == 1


async def test_other_faults_do_not_cost_the_images(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(rate_limited("1"))
    with pytest.raises(ProviderError):
        await ask(provider, PICTURE)
    await ask(provider, PICTURE)

    assert [len(asked.body.messages[-1].images) for asked in server.requests] == [1, 1]

"""These tests check a model server that cuts its pieces in the middle of a character."""

from __future__ import annotations

import json

from agentd.providers.base import CompletionRequest, Finished, PromptMessage, TextDelta, Usage
from agentd.providers.openai import OPENAI
from agentd.providers.remote import open_remote
from agentd.providers.settings import ModelSettings
from tests.platforms import openai_behaviours as behaviours
from tests.platforms.openai_server import OpenAIServer

REQUEST = CompletionRequest((PromptMessage("user", "hi"),), 64, 0.7)


async def test_an_emoji_that_the_server_cut_in_two_comes_whole() -> None:
    pieces = [{"content": "a\ud83d"}, {"content": "\ude00"}, {"content": "\ud83d"}]
    lines = [json.dumps({"choices": [{"delta": delta}]}) for delta in pieces]
    end = '{"choices":[{"delta":{},"finish_reason":"stop"}]}'
    async with OpenAIServer() as server:
        server.enqueue(behaviours.raw([f"data: {line}\n\n".encode() for line in [*lines, end, "[DONE]"]]))
        chosen = ModelSettings(kind="openai", base_url=server.base_url, model="tiny")
        async with open_remote(chosen, OPENAI, "provider") as provider:
            events = [event async for event in provider.stream(REQUEST)]

    assert events == [
        TextDelta("a"),
        TextDelta("😀"),
        TextDelta("\ufffd"),
        Finished("stop", Usage(), "tiny"),
    ]
    assert len(server.requests) == 1

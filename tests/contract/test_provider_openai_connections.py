"""These tests check that successive turns share one connection, since a new one costs a handshake each time."""

from __future__ import annotations

import asyncio
import zlib
from contextlib import aclosing

from aiohttp import web

from agentd.providers.base import CompletionRequest, Finished, PromptMessage
from agentd.providers.openai import OPENAI
from agentd.providers.remote import RemoteProvider, open_remote
from agentd.providers.settings import ModelSettings
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer

REQUEST = CompletionRequest((PromptMessage("user", "hi"),), 64, 0.7)


def settings(server: OpenAIServer) -> ModelSettings:
    return ModelSettings(kind="openai", base_url=server.base_url, model="tiny")


def noting(ports: list[int], *, gate: asyncio.Event | None = None) -> Behaviour:
    """Answer, and note from which port it was asked; with a gate, the answer goes on after its end until it opens."""

    async def behave(call: Call) -> web.StreamResponse:
        assert call.request.transport
        ports.append(call.request.transport.get_extra_info("peername")[1])
        await call.open()
        await call.say("hello")
        if gate is None:
            return await call.finish()
        await call.send({"choices": [{"delta": {}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}})
        await gate.wait()
        return call.response

    return behave


async def ask(provider: RemoteProvider) -> Finished:
    """Ask, and stop to listen at the end of the reply, as a turn does."""
    async with aclosing(provider.stream(REQUEST)) as events:
        while not isinstance(event := await anext(events), Finished):
            pass
        return event


async def test_turn_after_turn_goes_over_one_connection() -> None:
    ports: list[int] = []
    async with OpenAIServer() as server, open_remote(settings(server), OPENAI, "provider") as provider:
        for _ in range(5):
            server.enqueue(noting(ports))
            assert (await ask(provider)).reason == "stop"

    assert len(ports) == 5
    assert len(set(ports)) == 1


async def test_an_answer_that_goes_on_after_its_reply_holds_nobody_up() -> None:
    ports: list[int] = []
    gate = asyncio.Event()
    async with OpenAIServer() as server, open_remote(settings(server), OPENAI, "provider") as provider:
        for _ in range(2):
            server.enqueue(noting(ports, gate=gate))
            async with asyncio.timeout(5):
                assert (await ask(provider)).usage.input_tokens == 1
        gate.set()

    assert len(set(ports)) == 2


async def test_a_compressed_answer_that_is_damaged_behind_its_reply_changes_nothing() -> None:
    heard = asyncio.Event()

    async def behave(call: Call) -> web.StreamResponse:
        packer = zlib.compressobj(wbits=31)
        call.response.headers["Content-Encoding"] = "gzip"
        call.response.content_type = "text/event-stream"
        await call.response.prepare(call.request)
        said = b'data: {"choices": [{"delta": {"content": "hi"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        await call.response.write(packer.compress(said) + packer.flush(zlib.Z_SYNC_FLUSH))
        await heard.wait()
        await call.response.write(packer.flush()[:-8] + b"no crc at all")
        return call.response

    async with OpenAIServer() as server, open_remote(settings(server), OPENAI, "provider") as provider:
        server.enqueue(behave)
        events = provider.stream(REQUEST)
        while not isinstance(await anext(events), Finished):
            pass
        heard.set()
        await events.aclose()

"""These tests check every model protocol over real sockets, against servers as strict as the real ones."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from agentd.providers.base import Finished, TextDelta, Usage
from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.remote import RemoteProvider, open_remote
from agentd.providers.transport import open_client
from tests.contract.model_stands import REQUEST, STANDS, Stand, ask, fail, settings
from tests.platforms import model_behaviours as behaviours
from tests.platforms.model_server import ModelServer, reply

Server = ModelServer[Any, Any]

COMMON_FAILURES = [
    (behaviours.cut(["He", "l"]), ProviderRetryable),
    (behaviours.cut(["He", "l"], abruptly=False), ProviderRetryable),
    (behaviours.cut([]), ProviderRetryable),
    (behaviours.html(), ProviderRetryable),
    (behaviours.raw([]), ProviderRetryable),
    (behaviours.raw([b"{}"], content_type="application/json"), ProviderRetryable),
    (behaviours.raw([b"x"], headers={"Content-Encoding": "gzip, gzip"}), ProviderRefused),
]

FAILURES = [
    pytest.param(name, behaviour, kind, id=f"{name}-{number}")
    for name, stand in STANDS.items()
    for number, (behaviour, kind) in enumerate([*stand.failures, *COMMON_FAILURES])
]


@pytest.fixture(params=STANDS)
def stand(request: pytest.FixtureRequest) -> Stand:
    return STANDS[request.param]


@pytest.fixture
async def server(stand: Stand) -> AsyncIterator[Server]:
    async with stand.server() as running:
        yield running


@pytest.fixture
async def provider(stand: Stand, server: Server) -> AsyncIterator[RemoteProvider]:
    async with open_remote(settings(server.base_url), stand.dialect, "provider") as opened:
        yield opened


async def test_a_reply_comes_in_pieces_with_its_end(provider: RemoteProvider, server: Server) -> None:
    server.enqueue(reply("Hello there 👋", pieces=["Hel", "lo there ", "👋"]))

    assert await ask(provider) == [
        TextDelta("Hel"),
        TextDelta("lo there "),
        TextDelta("👋"),
        Finished("stop", Usage(5, 3), "tiny"),
    ]
    assert provider.model == "tiny"
    assert provider.context_tokens is None


async def test_pieces_are_yielded_as_they_come(provider: RemoteProvider, server: Server) -> None:
    gate = asyncio.Event()
    server.enqueue(behaviours.slow(["a", "b"], gate))
    async with aclosing(provider.stream(REQUEST)) as events:
        first = await anext(events)
        gate.set()
        rest = [event async for event in events]

    assert first == TextDelta("a")
    assert rest[0] == TextDelta("b")


async def test_a_server_that_cannot_stream_is_accepted(provider: RemoteProvider, server: Server) -> None:
    server.enqueue(behaviours.whole("all at once"))

    assert await ask(provider) == [TextDelta("all at once"), Finished("stop", Usage(5, 3), "tiny")]


async def test_closing_early_ends_the_request(provider: RemoteProvider, server: Server) -> None:
    server.enqueue(behaviours.slow(["a", "b"], asyncio.Event()))
    async with aclosing(provider.stream(REQUEST)) as events:
        await anext(events)

    await server.left.wait()


async def test_cancelling_ends_the_request(provider: RemoteProvider, server: Server) -> None:
    server.enqueue(behaviours.slow(["a", "b"], asyncio.Event()))
    begun = asyncio.Event()

    async def listen() -> None:
        async for _ in provider.stream(REQUEST):
            begun.set()

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(), name="listening")
        await begun.wait()
        listening.cancel()

    await server.left.wait()


@pytest.mark.parametrize(("name", "behaviour", "kind"), FAILURES)
async def test_every_failure_has_its_class(
    name: str, behaviour: Callable[[Any], Awaitable[web.StreamResponse]], kind: type[ProviderError]
) -> None:
    stand = STANDS[name]
    async with stand.server() as server, open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
        server.enqueue(behaviour)
        error = await fail(provider)

        assert type(error) is kind
        assert len(server.requests) == 1
        assert isinstance((await ask(provider))[-1], Finished)


async def test_text_before_a_cut_was_yielded(provider: RemoteProvider, server: Server) -> None:
    server.enqueue(behaviours.cut(["He", "l"]))
    async with aclosing(provider.stream(REQUEST)) as events:
        heard = [await anext(events), await anext(events)]
        with pytest.raises(ProviderRetryable):
            await anext(events)

    assert heard == [TextDelta("He"), TextDelta("l")]


async def test_how_long_to_wait_is_passed_on(provider: RemoteProvider, server: Server, stand: Stand) -> None:
    server.enqueue(stand.rate_limited("20"))
    error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert error.retry_after_seconds == 20


@pytest.mark.parametrize(("timeout_seconds", "counts_seconds"), [(0.05, 30), (30, 0.05)])
async def test_a_complete_reply_does_not_wait_long_for_its_counts(
    server: Server, stand: Stand, timeout_seconds: float, counts_seconds: float
) -> None:
    server.enqueue(behaviours.raw([stand.complete], then="hang"))
    chosen = settings(server.base_url, timeout_seconds=timeout_seconds)
    async with open_client(chosen) as client:
        events = await ask(RemoteProvider(client, chosen, stand.dialect, counts_seconds=counts_seconds))

    assert events == [TextDelta("a"), Finished("stop", Usage(), "tiny")]


async def test_a_complete_reply_survives_the_loss_of_its_counts(
    provider: RemoteProvider, server: Server, stand: Stand
) -> None:
    server.enqueue(behaviours.raw([stand.complete], then="break"))

    assert await ask(provider) == [TextDelta("a"), Finished("stop", Usage(), "tiny")]


@pytest.mark.parametrize(
    "chunk",
    [
        lambda _: b"x" * 60_000,
        lambda _: b"data: x\n" * 8000,
        lambda stand: stand.piece("x" * 60_000),
    ],
    ids=["a line", "an event", "a text"],
)
async def test_a_reply_without_an_end_is_refused(
    provider: RemoteProvider, server: Server, stand: Stand, chunk: Callable[[Stand], bytes]
) -> None:
    server.enqueue(behaviours.raw(itertools.repeat(chunk(stand))))
    error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert "without an end" in str(error)


async def test_silence_is_told_with_its_length(server: Server, stand: Stand) -> None:
    server.enqueue(behaviours.hang())
    async with open_remote(settings(server.base_url, timeout_seconds=0.05), stand.dialect, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert "silent for 0.05 s" in str(error)
    assert server.base_url.split("/")[2] in str(error)


async def test_a_wrong_path_names_the_address(server: Server, stand: Stand) -> None:
    async with open_remote(settings(f"{server.base_url}/v9"), stand.dialect, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert f"{server.base_url}/v9" in str(error)

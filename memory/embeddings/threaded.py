"""This module runs the embedding model on threads of its own, so that making vectors does not block the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from memory.errors import EmbeddingsMissing

if TYPE_CHECKING:
    from memory.embeddings.minilm import MiniLM

__all__ = ["ThreadedMiniLM", "load_minilm"]

THREADS = 2
"""One thread for a task with many texts, and one for a question: behind a long text it would wait 0.1 s."""


class ThreadedMiniLM:
    """The model on its threads; each call works on one text at a time."""

    def __init__(self, model: MiniLM, threads: Executor) -> None:
        """Run the model on these threads only."""
        self._model = model
        self._threads = threads

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector for each text."""
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._threads, self._model.embed_one, text) for text in texts]


@asynccontextmanager
async def load_minilm() -> AsyncIterator[ThreadedMiniLM]:
    """Load the model, in 0.6 s, for as long as the block lasts; its end waits for the texts that are under way.

    Raises EmbeddingsMissing.
    """
    with ThreadPoolExecutor(THREADS, "embeddings") as threads:
        model = await asyncio.get_running_loop().run_in_executor(threads, _load)
        try:
            yield ThreadedMiniLM(model, threads)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)


def _load() -> MiniLM:
    try:
        from memory.embeddings.minilm import MiniLM
    except ImportError as fault:
        raise EmbeddingsMissing(
            f'memory.embeddings = "minilm" needs the extra `embeddings`, but {fault.name} is not installed: '
            'install requirements/extras.txt, or set it to "none"'
        ) from fault
    return MiniLM()

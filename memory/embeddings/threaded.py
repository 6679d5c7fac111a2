"""Makes vectors on a thread of their own, so that nothing waits for them but who asked."""

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


class ThreadedMiniLM:
    """The model and its thread; texts that are asked for at once wait for each other, one text at a time."""

    def __init__(self, model: MiniLM, thread: Executor) -> None:
        """Work on that thread alone."""
        self._model = model
        self._thread = thread

    @property
    def name(self) -> str:
        """The model."""
        return self._model.name

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector for each text. A question that comes meanwhile waits for one text, not for all."""
        loop = asyncio.get_running_loop()
        return [await loop.run_in_executor(self._thread, self._model.embed_one, text) for text in texts]


@asynccontextmanager
async def load_minilm() -> AsyncIterator[ThreadedMiniLM]:
    """Load the model, 0.6 s on its thread; both are gone after the block, which ends with the text that is under way.

    Raises EmbeddingsMissing.
    """
    with ThreadPoolExecutor(1, "embeddings") as thread:
        model = await asyncio.get_running_loop().run_in_executor(thread, _load)
        try:
            yield ThreadedMiniLM(model, thread)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)


def _load() -> MiniLM:
    try:
        from memory.embeddings.minilm import MiniLM
    except ImportError as fault:
        raise EmbeddingsMissing(
            f'memory.embeddings = "minilm" needs the extra `embeddings`, but {fault.name} is not installed: '
            'install requirements/extras.txt, or set it to "none"'
        ) from fault
    return MiniLM()

"""This module is a fake embedder: texts with words in common have near vectors."""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Sequence

from memory.errors import MemoryFault, TextRefused
from tests.platforms.openai_embeddings import embed

__all__ = ["FakeEmbedder"]


class FakeEmbedder:
    """Makes vectors of `size` numbers; refuses texts with a word of `refused`, and raises `faults` first."""

    def __init__(self, name: str = "fake", size: int = 64, refused: Sequence[str] = ()) -> None:
        """Call the model so."""
        self.name = name
        self.faults: deque[MemoryFault] = deque()
        self.asked: list[tuple[str, ...]] = []
        self._size = size
        self._refused = refused

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector for each text."""
        self.asked.append(tuple(texts))
        if self.faults:
            raise self.faults.popleft()
        if any(word in text for word in self._refused for text in texts):
            raise TextRefused(f"{self.name} does not take a text")
        return [struct.pack(f"<{self._size}f", *embed(text, self._size)) for text in texts]

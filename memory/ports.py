"""What the daemon asks of memory, and what memory asks of whoever makes vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from memory.model import Erased, Exchange, LearnOutcome, Lesson, Memory, Recalled, Reserve, Who

if TYPE_CHECKING:
    from memory.prompts import Ask

__all__ = ["Complete", "Embedder", "MemoryLooking", "MemoryRights", "MemoryStore", "MemoryVectors", "MemoryWriting"]


class MemoryWriting(Protocol):
    """Takes in what was learnt. All raise MemoryUnusable."""

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Write entries, and that the range is done, in one transaction; one that was learnt before does nothing."""
        ...

    async def knows(self, exchange: Exchange) -> bool:
        """Tell whether the range, or a part of it, was learnt before."""
        ...

    async def watermark(self, session: str, began: str) -> int | None:
        """Return the last seq of the session that was learnt from, whoever wrote it."""
        ...


class MemoryLooking(Protocol):
    """Finds again what was learnt, for the person alone. All raise MemoryUnusable."""

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Return what answers the question, best first."""
        ...

    async def search(self, who: Who, question: str, most: int) -> tuple[int, ...]:
        """Return the ids of the entries that answer the question, best first."""
        ...

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Return a page, newest first: entries with an id below `before`; those that were superseded too."""
        ...

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Return an entry with its evidence; None where there is none that this person may see here."""
        ...


class MemoryRights(Protocol):
    """What a person may have done with what is known about them. All raise MemoryUnusable."""

    async def people(self) -> tuple[str, ...]:
        """Return the ids of those of whom something is known, in their order: for whoever runs the daemon alone."""
        ...

    async def forget(self, who: Who, entry: int) -> bool:
        """Remove an entry; False where there is none that this person may see here."""
        ...

    async def export(self, senders: frozenset[str]) -> tuple[Memory, ...]:
        """Return all that is known about a person, oldest first."""
        ...

    async def erase(self, senders: frozenset[str]) -> Erased:
        """Remove all that is known about a person, from free pages too, and search for what remains."""
        ...


class MemoryVectors(Protocol):
    """Takes in vectors, made beside the conversations. All raise MemoryUnusable."""

    async def without_vector(self, model: str, most: int) -> tuple[tuple[int, str], ...]:
        """Return the ids and texts of entries that have no vector of that model yet, oldest first."""
        ...

    async def keep_vectors(self, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Keep them, each in the place of its entry's earlier one; one whose entry is gone meanwhile is dropped.

        An empty one says that the model takes no such text: the entry is found by its words alone, and not asked
        for again.
        """
        ...


class MemoryStore(MemoryWriting, MemoryLooking, MemoryRights, MemoryVectors, Protocol):
    """All that a store does, for whoever passes it on."""


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def name(self) -> str:
        """The model: vectors of two models are not comparable."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return a vector for each text: little-endian floats of 4 bytes, of length one.

        Raises EmbedderFailed and TextRefused.
        """
        ...


class Complete(Protocol):
    """Asks a language model."""

    async def __call__(self, ask: Ask, /) -> str:
        """Return its answer. Raises what it likes: the exchange is then to be consolidated another time."""
        ...

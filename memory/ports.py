"""This module defines the protocols of a memory store, and of what memory needs: an embedder and a language model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from memory.model import Erased, Exchange, LearnOutcome, Lesson, Memory, Recalled, Reserve, Who

if TYPE_CHECKING:
    from memory.prompts import Ask

__all__ = ["Complete", "Embedder", "MemoryLooking", "MemoryRights", "MemoryStore", "MemoryVectors", "MemoryWriting"]


class MemoryWriting(Protocol):
    """The writing part of a store. All methods raise MemoryUnusable."""

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Write entries and mark the range as done, in one transaction; a range that was learnt before is skipped."""
        ...

    async def knows(self, exchange: Exchange) -> bool:
        """Tell whether the range, or a part of it, was learnt before."""
        ...

    async def watermark(self, session: str, began: str) -> int | None:
        """Return the last seq of the session that was learnt from, by any of its people; None: nothing was."""
        ...


class MemoryLooking(Protocol):
    """The reading part of a store; each query sees one person's entries only. All methods raise MemoryUnusable."""

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Return the entries for a question, best first, within the limits of `reserve`."""
        ...

    async def search(self, who: Who, question: str, most: int) -> tuple[int, ...]:
        """Return the ids of the entries for a question, best first."""
        ...

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Return a page of entries with ids below `before`, newest first, superseded ones included."""
        ...

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Return an entry with its evidence; None if there is none that this person may see here."""
        ...


class MemoryRights(Protocol):
    """A person's rights: to have entries forgotten, exported and erased. All methods raise MemoryUnusable."""

    async def people(self) -> tuple[str, ...]:
        """Return the sorted ids of everybody who has entries; only the operator may ask for them."""
        ...

    async def forget(self, who: Who, entry: int) -> bool:
        """Remove an entry; False if there is none that this person may see here."""
        ...

    async def export(self, senders: frozenset[str]) -> tuple[Memory, ...]:
        """Return all that is known about a person, oldest first."""
        ...

    async def erase(self, senders: frozenset[str]) -> Erased:
        """Remove all that is known about a person, also from the files' free space, and search for what remains."""
        ...


class MemoryVectors(Protocol):
    """The embeddings of entries, which a background task makes. All methods raise MemoryUnusable."""

    async def without_vector(self, model: str, most: int) -> tuple[tuple[int, str], ...]:
        """Return the ids and texts of entries that have no vector of that model yet, oldest first."""
        ...

    async def keep_vectors(self, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Store vectors by entry id, replacing earlier ones; one whose entry is gone by now is dropped.

        An empty vector means that the model refuses the text: the entry is found by its words alone, and is not
        returned by `without_vector` again.
        """
        ...


class MemoryStore(MemoryWriting, MemoryLooking, MemoryRights, MemoryVectors, Protocol):
    """A memory store with all of its parts."""


class Embedder(Protocol):
    """Makes embeddings: vectors of texts."""

    @property
    def name(self) -> str:
        """The model's name; vectors of two models are not comparable."""
        ...

    async def embed(self, texts: Sequence[str]) -> Sequence[bytes]:
        """Return a vector for each text: little-endian floats of 4 bytes, normalised to length one.

        Raises EmbedderFailed and TextRefused.
        """
        ...


class Complete(Protocol):
    """Asks a language model."""

    async def __call__(self, ask: Ask, /) -> str:
        """Return the model's answer. Any exception means that the exchange is consolidated another time."""
        ...

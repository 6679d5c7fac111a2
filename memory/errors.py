"""What can go wrong with memory.

MemoryFault
├── MemoryUnusable      the database cannot be used: nothing is remembered or recalled until it can
├── MemoryTooNew        a later version of the program wrote the database
└── EmbeddingsMissing   vectors are asked for, and what makes them is not installed
"""

from __future__ import annotations

__all__ = ["EmbeddingsMissing", "MemoryFault", "MemoryTooNew", "MemoryUnusable"]


class MemoryFault(Exception):
    """Any of them; its text is one sentence that says what to do."""


class MemoryUnusable(MemoryFault):
    """The database cannot be read or written."""


class MemoryTooNew(MemoryFault):
    """The database has a form that this version does not know."""


class EmbeddingsMissing(MemoryFault):
    """The extra `embeddings` is not installed."""

"""What can go wrong with memory.

MemoryFault
├── MemoryUnusable      the database cannot be used: nothing is remembered or recalled until it can
├── MemoryTooNew        a later version of the program wrote the database
├── EmbeddingsMissing   vectors are asked for, and what makes them cannot be had: nothing but the operator helps
├── EmbedderFailed      no vector can be made now: ask again later
└── TextRefused         no vector can be made of one of the texts: ask for the others without it
"""

from __future__ import annotations

__all__ = ["EmbedderFailed", "EmbeddingsMissing", "MemoryFault", "MemoryTooNew", "MemoryUnusable", "TextRefused"]


class MemoryFault(Exception):
    """Any of them; its text is one sentence that says what to do."""


class MemoryUnusable(MemoryFault):
    """The database cannot be read or written."""


class MemoryTooNew(MemoryFault):
    """The database has a form that this version does not know."""


class EmbeddingsMissing(MemoryFault):
    """The extra `embeddings` is not installed, or the settings name no server that makes vectors."""


class EmbedderFailed(MemoryFault):
    """What makes vectors does not answer, or not with vectors; the text holds nothing of what was asked."""


class TextRefused(MemoryFault):
    """What makes vectors does not take one of the texts; the text of this fault holds nothing of them."""

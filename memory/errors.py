"""This module defines the errors of memory, one class for each decision that the daemon takes about them.

MemoryFault
├── MemoryUnusable      the database cannot be used: nothing is remembered or recalled until it can
├── MemoryTooNew        a later version of the program wrote the database
├── EmbeddingsMissing   embeddings are configured, but cannot be made: the operator must change something
├── EmbedderFailed      no vector can be made now: ask again later
└── TextRefused         no vector can be made of one of the texts: ask for the others without it
"""

from __future__ import annotations

__all__ = ["EmbedderFailed", "EmbeddingsMissing", "MemoryFault", "MemoryTooNew", "MemoryUnusable", "TextRefused"]


class MemoryFault(Exception):
    """The root of all errors of memory; the text is one sentence that says what to do."""


class MemoryUnusable(MemoryFault):
    """The database cannot be read or written."""


class MemoryTooNew(MemoryFault):
    """A later version of the program wrote the database."""


class EmbeddingsMissing(MemoryFault):
    """The extra `embeddings` is not installed, or the settings name no server that makes vectors."""


class EmbedderFailed(MemoryFault):
    """The embedder does not answer, or not with vectors; the text holds nothing of what was asked."""


class TextRefused(MemoryFault):
    """The embedder does not take one of the texts; the text of this error holds nothing of them."""

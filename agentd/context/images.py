"""Decides which files of messages can be shown to a model as images: type and size limits."""

from __future__ import annotations

from agentd.transcript.records import FileAttachment

__all__ = ["IMAGE_TYPES", "MOST_IMAGE_BYTES", "is_showable"]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""The image types that model servers accept."""

MOST_IMAGE_BYTES = 4 * 1024 * 1024
"""Per image: as Base64 it stays below 5 MB, the limit of the strictest of those servers."""


def is_showable(file: FileAttachment) -> bool:
    """Tell whether a file is a stored image of a type and size that model servers accept."""
    return bool(file.path) and file.media_type in IMAGE_TYPES and file.size_bytes <= MOST_IMAGE_BYTES

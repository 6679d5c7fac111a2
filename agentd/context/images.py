"""Which of the files that come with messages a model can be shown."""

from __future__ import annotations

from agentd.transcript.records import FileAttachment

__all__ = ["IMAGE_TYPES", "MOST_IMAGE_BYTES", "is_showable"]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What the model servers that look at images take."""

MOST_IMAGE_BYTES = 4 * 1024 * 1024
"""Of one image: as Base64 it stays below the 5 MB that the strictest of those servers takes."""


def is_showable(file: FileAttachment) -> bool:
    """Tell whether a file is an image that is kept, and that a model's server takes."""
    return bool(file.path) and file.media_type in IMAGE_TYPES and file.size_bytes <= MOST_IMAGE_BYTES

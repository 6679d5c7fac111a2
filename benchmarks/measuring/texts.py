"""This module loads the texts for token estimates: groups of messages in one language or of one kind.

They were written or randomly generated for this purpose, with much the same content in each language. A group is a file
in `benchmarks/texts/`; lines of `%%` separate its messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["LANGUAGES", "load_groups"]

FOLDER = Path(__file__).parents[1] / "texts"

LANGUAGES = (
    "arabic",
    "chinese",
    "chinese-traditional",
    "czech",
    "dutch",
    "english-chat",
    "english-prose",
    "finnish",
    "french",
    "german",
    "greek",
    "hebrew",
    "hindi",
    "hungarian",
    "indonesian",
    "italian",
    "japanese",
    "korean",
    "persian",
    "polish",
    "portuguese",
    "russian",
    "spanish",
    "swedish",
    "tamil",
    "thai",
    "turkish",
    "ukrainian",
    "vietnamese",
)
"""The groups of what people write, by language; the other groups are what they paste."""


def load_groups() -> Mapping[str, tuple[str, ...]]:
    """Return each group's messages, by the group's name."""
    return {path.stem: _split(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.txt"))}


def _split(content: str) -> tuple[str, ...]:
    return tuple(content.removesuffix("\n").split("\n%%\n"))

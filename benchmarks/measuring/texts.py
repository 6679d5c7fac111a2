"""The texts on which token estimates are measured: groups of messages in one language or of one kind.

They were written, or generated from chance, for this purpose; the languages say much the same. A group is a file of
`benchmarks/texts/`, its messages stand between lines of `%%`.
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
"""The groups that are what people say; the others are what they paste."""


def load_groups() -> Mapping[str, tuple[str, ...]]:
    """Return each group's messages, by the group's name."""
    return {path.stem: _split(path.read_text("utf-8")) for path in sorted(FOLDER.glob("*.txt"))}


def _split(content: str) -> tuple[str, ...]:
    return tuple(content.removesuffix("\n").split("\n%%\n"))

"""This module tokenizes a text for BERT's uncased vocabulary (WordPiece, greedy from the left).

It is written out here, since the usual library for it brings a client of a model hub along.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping

__all__ = ["MOST_PIECES", "encode"]

MOST_PIECES = 256
"""The most tokens of a text, [CLS] and [SEP] included, as all-MiniLM-L6-v2 was trained."""

_LONGEST_WORD = 100
"""The longest word, as in BERT: longer ones become [UNK]."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f"
_WORDS = re.compile(rf"[{_HAN}]|[^\W_{_HAN}]+|[^\w\s]|_")


def encode(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Return the token ids of a text between [CLS] and [SEP], at most `MOST_PIECES` in all."""
    ids = [vocabulary["[CLS]"]]
    for word in _WORDS.findall(_plain(text)):
        ids += _pieces(word, vocabulary)
        if len(ids) >= MOST_PIECES:
            break
    return [*ids[: MOST_PIECES - 1], vocabulary["[SEP]"]]


def _plain(text: str) -> str:
    """Return a text in lower case, without accents and control characters."""
    parts = unicodedata.normalize("NFD", text.lower())
    return "".join(" " if c.isspace() else c for c in parts if _is_kept(c))


def _is_kept(character: str) -> bool:
    return character.isspace() or not unicodedata.category(character).startswith(("Mn", "C"))


def _pieces(word: str, vocabulary: Mapping[str, int]) -> list[int]:
    if len(word) > _LONGEST_WORD:
        return [vocabulary["[UNK]"]]
    found: list[int] = []
    start = 0
    while start < len(word):
        end = next((end for end in _ends(word, start) if _piece(word, start, end) in vocabulary), None)
        if end is None:
            return [vocabulary["[UNK]"]]
        found.append(vocabulary[_piece(word, start, end)])
        start = end
    return found


def _ends(word: str, start: int) -> Iterator[int]:
    return iter(range(len(word), start, -1))


def _piece(word: str, start: int, end: int) -> str:
    return word[start:end] if start == 0 else f"##{word[start:end]}"

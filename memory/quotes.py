"""This module finds a quote in the person's own words, which makes it the evidence of a fact, and splits sentences."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from memory.model import Evidence, Exchange

__all__ = ["MOST_QUOTE_CHARS", "find_quote", "sentences"]

MOST_QUOTE_CHARS = 300

_LEAST_PART_CHARS = 2
"""The least length of the longest part of a quote, of which an ellipsis separates the parts."""

_SAME = str.maketrans("’‘ʼ`´“”„‟«»–—‑", "'''''" + '"' * 6 + "---")
_ELLIPSIS = re.compile(r"\s*(?:…|\.{3,}|\[\W*\])\s*")
_AROUND = " \t\n\"'.,;:!?()[]。，！？「」『』、*_-"
_SENTENCE = re.compile(r"[^.!?。！？؟\n]*(?:[.!?。！？؟](?![\w])[\"'”’)]*|[.!?。！？؟]|\n|$)")


def find_quote(exchange: Exchange, own: Mapping[int, str], quote: str) -> Evidence | None:
    """Return a quote as it stands in one of the messages (`own`: by seq); None if none contains it.

    Case, white space, the form of quotation marks, and what an ellipsis leaves out are ignored.
    """
    parts = [part for part in (_folded(part)[0].strip(_AROUND) for part in _ELLIPSIS.split(quote)) if part]
    if not parts or max(map(len, parts)) < _LEAST_PART_CHARS:
        return None
    for seq, text in own.items():
        found = _span(text, parts)
        if found is not None:
            place = " ".join(text[slice(*found)].split())[:MOST_QUOTE_CHARS].rstrip()
            return Evidence(exchange.session, seq, place)
    return None


def sentences(text: str) -> list[str]:
    """Split a text into sentences and lines, with their final marks; a dot inside a word or a number ends none."""
    pieces: list[str] = []
    open_piece = ""
    for found in _SENTENCE.finditer(text):
        open_piece += found.group()
        is_within = found.group().endswith(".") and text[found.end() : found.end() + 1].isalnum()
        if not is_within and open_piece.strip():
            pieces.append(open_piece.strip())
        if not is_within:
            open_piece = ""
    return [*pieces, open_piece.strip()] if open_piece.strip() else pieces


def _span(text: str, parts: list[str]) -> tuple[int, int] | None:
    """Return start and end of the place where the parts occur in order; None if they do not."""
    folded, places = _folded(text)
    start = place = -1
    for part in parts:
        place = folded.find(part, max(place, 0))
        if place < 0:
            return None
        start = place if start < 0 else start
        place += len(part)
    return places[start], places[place - 1] + 1


def _folded(text: str) -> tuple[str, list[int]]:
    """Return a text as it is compared, and for each of its characters the place in the original."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        plain = unicodedata.normalize("NFKC", character.translate(_SAME)).casefold().translate(_SAME)
        if not plain.strip():
            if folded and folded[-1] != " ":
                folded.append(" ")
                places.append(place)
            continue
        folded += plain.replace(" ", "")
        places += [place] * len(plain.replace(" ", ""))
    return "".join(folded), places

"""This module tokenizes text for index and query: lower case, no accents, lemmas and stems, single CJK characters.

SQLite's own tokenizer takes a whole run of Chinese for one word. Here each character of Han, kana and Hangul is a word,
and a query asks for adjacent pairs of them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

from memory.text.lemmas import LEMMAS
from memory.text.stemming import stem

__all__ = ["STOP_WORDS", "Term", "count_subjects", "index_terms", "index_text", "indexed_terms", "query_terms", "stems"]

Term = tuple[str, ...]
"""A word's stem, a CJK character, or a pair of adjacent CJK characters."""

MOST_TERMS = 64
"""How many words of a question are looked up at most, also of a pasted page."""

_STOP = """
    a about after all also am an and any are as at be been being but by can could did do does doing done for from had
    has have having he her hers him his how i if in into is it its itself just like me might mine more most much my
    no nor not of on one or our out over own same she should so some such than that the their them then there these they
    this those through to too under until up us very was we were what when where which while who whom whose why will
    with would you your yours
"""

STOP_WORDS = frozenset(_STOP.split())
"""English stop words, which are neither indexed nor searched. "May" is none, since it is a month, too."""

_CJK = "\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uac00-\ud7a3\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_CJK}]+|[^\W_{_CJK}]+(?:['’][^\W_{_CJK}]+)?")
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_COUNTED_CHARS = 200
_IS_CJK = re.compile(f"[{_CJK}]")
_LAST_WITH_ACCENTS = "\u052f"
"""Up to here, in Latin, Greek and Cyrillic, accents are removed; in other scripts marks make other letters."""


def stems(text: str) -> list[str]:
    """Return the stem of every word in order, stop words included; CJK as single characters."""
    return [word for run in _runs(text) for word in (run if _IS_CJK.match(run) else _stemmed(run))]


def index_text(text: str) -> str:
    """Return the text for an index of words: stems without stop words, separated by spaces."""
    return " ".join(word for run in _runs(text) for word in (run if _IS_CJK.match(run) else _subjects(run)))


def index_terms(text: str) -> list[Term]:
    """Return all terms that a query may ask for, in order: stems without stop words, CJK characters and their pairs."""
    return [
        term
        for run in _runs(text)
        for term in ((*((one,) for one in run), *pairwise(run)) if _IS_CJK.match(run) else _terms(run))
    ]


def query_terms(text: str) -> list[Term]:
    """Return the terms of a question, each once: stems without stop words, and pairs of adjacent CJK characters."""
    terms = (term for run in _runs(text) for term in _terms(run))
    return list(dict.fromkeys(terms))[:MOST_TERMS]


def indexed_terms(text: str) -> list[tuple[str, ...]]:
    """Return each occurrence of a term that `query_terms` may ask for, in a text made by `index_text`."""
    words = text.split()
    pairs = ((a, b) for a, b in pairwise(words) if _IS_CJK.match(a) and _IS_CJK.match(b))
    return [*((word,) for word in words), *pairs]


def count_subjects(text: str) -> int:
    """Return the number of words without stop words in the first 200 characters; quick, since it is called often."""
    start = text[:_COUNTED_CHARS]
    if start.isascii():
        return len([word for word in _ASCII_WORD.findall(start.lower()) if word not in STOP_WORDS])
    return len(index_text(start).split())


def _terms(run: str) -> Iterator[Term]:
    if not _IS_CJK.match(run):
        yield from ((word,) for word in _subjects(run))
    elif len(run) == 1:
        yield (run,)
    else:
        yield from pairwise(run)


def _runs(text: str) -> Iterator[str]:
    plain = "".join(map(_without_accent, unicodedata.normalize("NFKC", text).lower()))
    return (found.group() for found in _RUN.finditer(plain))


def _without_accent(character: str) -> str:
    if character.isascii() or character > _LAST_WITH_ACCENTS:
        return character
    return unicodedata.normalize("NFD", character)[0]


def _parts(run: str) -> list[str]:
    """Split a run into words: a possessive `'s` is dropped, and any other apostrophe separates two words."""
    return [part for part in re.split("['’]", re.sub("['’]s$", "", run)) if part]


def _stemmed(run: str) -> list[str]:
    return [stem(LEMMAS.get(part, part)) for part in _parts(run)]


def _subjects(run: str) -> list[str]:
    return [stem(LEMMAS.get(part, part)) for part in _parts(run) if part not in STOP_WORDS]

"""This module stems English words by Porter's algorithm ("An algorithm for suffix stripping", 1980).

Index and query are stemmed by this code for every database: SQLite's own stemmer and PostgreSQL's differ.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["stem"]

_PLURALS = (("sses", "ss"), ("ies", "i"), ("ss", "ss"), ("s", ""))

_STEP_2 = (
    ("ational", "ate"), ("tional", "tion"), ("enci", "ence"), ("anci", "ance"), ("izer", "ize"), ("bli", "ble"),
    ("alli", "al"), ("entli", "ent"), ("eli", "e"), ("ousli", "ous"), ("ization", "ize"), ("ation", "ate"),
    ("ator", "ate"), ("alism", "al"), ("iveness", "ive"), ("fulness", "ful"), ("ousness", "ous"), ("aliti", "al"),
    ("iviti", "ive"), ("biliti", "ble"), ("logi", "log"),
)  # fmt: skip

_STEP_3 = (
    ("icate", "ic"), ("ative", ""), ("alize", "al"), ("iciti", "ic"), ("ical", "ic"), ("ful", ""), ("ness", ""),
)  # fmt: skip

_STEP_4 = (
    "al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ou", "ism", "ate",
    "iti", "ous", "ive", "ize",
)  # fmt: skip

_HAS_VOWEL = re.compile("[aeiou]|(?<=[^aeiou])y")
_DOUBLE = re.compile(r"([^aeiouylsz])\1$")


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Return the stem of a word in lower case; words of one or two letters, or of other scripts, stay as they are."""
    if len(word) < 3 or not word.isascii() or not word.isalpha():
        return word
    word = _without_past(_without_plural(word))
    if word.endswith("y") and _HAS_VOWEL.search(word[:-1]):
        word = word[:-1] + "i"
    word = _replaced(_replaced(word, _STEP_2), _STEP_3)
    return _without_e(_without_suffix(word))


def _measure(part: str) -> int:
    """Return how often consonants follow vowels in a part: Porter's m."""
    kinds = "".join("c" if not is_vowel(part, place) else "v" for place in range(len(part)))
    return len(re.findall("v+c+", kinds))


def is_vowel(word: str, place: int) -> bool:
    """Tell whether a letter is a vowel; y is one behind a consonant."""
    if word[place] == "y":
        return place > 0 and not is_vowel(word, place - 1)
    return word[place] in "aeiou"


def _without_plural(word: str) -> str:
    for suffix, left in _PLURALS:
        if word.endswith(suffix):
            return word.removesuffix(suffix) + left
    return word


def _without_past(word: str) -> str:
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) > 0 else word
    for suffix in ("ed", "ing"):
        part = word.removesuffix(suffix)
        if part != word and _HAS_VOWEL.search(part):
            return _mended(part)
    return word


def _mended(part: str) -> str:
    """Restore the e that the removed ending replaced, or undo the letter that it doubled."""
    if part.endswith(("at", "bl", "iz")):
        return part + "e"
    if _DOUBLE.search(part):
        return part[:-1]
    return part + "e" if _measure(part) == 1 and _ends_short(part) else part


def _ends_short(part: str) -> bool:
    if len(part) < 3 or part[-1] in "wxy":
        return False
    return not is_vowel(part, len(part) - 1) and is_vowel(part, len(part) - 2) and not is_vowel(part, len(part) - 3)


def _replaced(word: str, endings: tuple[tuple[str, str], ...]) -> str:
    for suffix, left in endings:
        if word.endswith(suffix):
            part = word.removesuffix(suffix)
            return part + left if _measure(part) > 0 else word
    return word


def _without_suffix(word: str) -> str:
    for suffix in sorted(_STEP_4, key=len, reverse=True):
        if word.endswith(suffix):
            part = word.removesuffix(suffix)
            if suffix in ("sion", "tion"):
                part += suffix[0]
            return part if _measure(part) > 1 else word
    return word


def _without_e(word: str) -> str:
    if word.endswith("e"):
        part = word[:-1]
        if _measure(part) > 1 or (_measure(part) == 1 and not _ends_short(part)):
            word = part
    if word.endswith("ll") and _measure(word) > 1:
        word = word[:-1]
    return word

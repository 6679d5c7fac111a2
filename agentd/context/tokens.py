"""Estimates how many tokens a text costs, from its characters alone, without a model's vocabulary.

Each script has a weight in tokens per character. Against the mean of the vocabularies o200k_base and Qwen 3.6, the mean
absolute bias over 48 groups of texts is 7 %, the worst 17 %; ceil(characters / 4) has 28 %, and is 2 to 4 times too low
on Chinese, Japanese, Korean and emoji. For what a model counts beyond that, see `calibration.py`.

The weights were fitted by least squares on the relative error over the groups in `benchmarks/texts`: against the mean
of o200k_base, Llama 3 and Qwen 3.6, that of o200k_base and Qwen 3.6, and o200k_base alone, drawn towards an earlier fit
over other texts (none is under 0.3 of what it was there, or over 1.99). Fitted without 17 of the groups, the bias is 8
% on those, the worst 25 %. `benchmarks/tokens.py` prints all of it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from math import ceil
from string import ascii_lowercase, ascii_uppercase, digits

__all__ = [
    "MESSAGE_OVERHEAD_TOKENS",
    "MOST_CHARACTERS_PER_TOKEN",
    "MOST_TOKENS_PER_CHARACTER",
    "estimate_tokens",
    "may_fit",
]

MESSAGE_OVERHEAD_TOKENS = 4
"""What a chat template adds to each message: its role, and marks before and behind it."""

MOST_CHARACTERS_PER_TOKEN = 12
"""More than any ordinary text has. Spaces weigh nothing, but endless ones must not count as an empty text."""

MOST_TOKENS_PER_CHARACTER = 3
"""More than any character's estimate: so a short text is known to fit without an estimate."""

_RARE = b"kjz"
"""Letters that are rare in English, and frequent in languages whose words take more tokens."""

_LOWER, _UPPER, _DIGITS = ascii_lowercase.encode(), ascii_uppercase.encode(), digits.encode()

_WORD_WEIGHT = 0.38
_ASCII_WEIGHTS = ((b"a", 0.16), (b"k", 0.83), (b"A", 0.14), (b"0", 0.80), (b"\n", 0.35))
"""By kind of character, as in `_KINDS`; a space weighs nothing."""
_ASCII_PUNCTUATION = 0.69


def _kind(code: int) -> int:
    for representative, kind in ((ord("k"), _RARE), (ord("a"), _LOWER), (ord("A"), _UPPER), (ord("0"), _DIGITS)):
        if code in kind:
            return representative
    return code if code in b" \n" else ord(".")


_KINDS = bytes(map(_kind, range(256)))
_WORDS = bytes(code if code in _LOWER + _UPPER else ord(" ") for code in range(256))
"""Translates a text so that only its words remain."""

_ASCII = re.compile(r"[\x00-\x7f]+")

_OTHER, _SYMBOL, _PUNCTUATION, _CJK_PUNCTUATION = 1.03, 1.99, 1.97, 1.26
_RANGES: tuple[tuple[int, float], ...] = (
    (0x0080, _PUNCTUATION),
    (0x00C0, 0.39),  # Latin 1
    (0x0100, 0.62),  # Latin extended
    (0x0370, 0.46),  # Greek
    (0x0400, 0.59),  # Cyrillic that Russian does not have
    (0x0410, 0.33),  # Cyrillic
    (0x0450, 0.59),
    (0x0530, _OTHER),
    (0x0590, 0.56),  # Hebrew
    (0x0600, 0.39),  # Arabic
    (0x0780, _OTHER),
    (0x08A0, 0.39),  # Arabic extended
    (0x0900, 0.47),  # Devanagari
    (0x0980, 0.48),  # the other scripts of India
    (0x0E00, 0.40),  # Thai, Lao
    (0x0F00, _OTHER),
    (0x1780, 0.46),  # Khmer
    (0x1800, _OTHER),
    (0x1E00, 0.12),  # Latin extended additional: Vietnamese, beside letters that weigh much
    (0x1F00, 0.46),  # Greek extended
    (0x2000, _PUNCTUATION),
    (0x2070, _SYMBOL),  # arrows, mathematics, dingbats
    (0x2E80, 0.69),  # Han radicals
    (0x3000, _CJK_PUNCTUATION),
    (0x3040, 0.57),  # kana
    (0x3100, 0.69),  # bopomofo, then Han
    (0xA000, _OTHER),
    (0xAC00, 0.79),  # Hangul
    (0xD7B0, _OTHER),
    (0xF900, 0.69),  # Han compatibility
    (0xFB00, 0.39),  # Hebrew and Arabic presentation forms
    (0xFE00, _SYMBOL),  # variation selectors
    (0xFE10, _CJK_PUNCTUATION),
    (0xFE70, 0.39),
    (0xFF00, _CJK_PUNCTUATION),  # full-width forms
    (0x10000, _OTHER),
    (0x1F000, _SYMBOL),  # emoji
    (0x20000, 0.69),  # Han extensions
    (0x33480, _OTHER),
)
_STARTS = tuple(start for start, _ in _RANGES)


def estimate_tokens(text: str) -> int:
    """Return about how many tokens a model counts for `text`, before calibration; 0 for an empty text."""
    ascii_text = text.encode("ascii", "replace")
    kinds = ascii_text.translate(_KINDS)
    beyond = "" if text.isascii() else _ASCII.sub("", text)
    total = _WORD_WEIGHT * len(ascii_text.translate(_WORDS).split())
    total += _ASCII_PUNCTUATION * (kinds.count(b".") - len(beyond))
    total += sum(weight * kinds.count(kind) for kind, weight in _ASCII_WEIGHTS)
    total += sum(count * _weight(character) for character, count in Counter(beyond).items())
    return ceil(max(total, len(text) / MOST_CHARACTERS_PER_TOKEN))


def may_fit(text: str, budget_tokens: int) -> bool:
    """Tell by its length alone whether a text could be that cheap, since estimating an endless one takes long."""
    return len(text) <= budget_tokens * MOST_CHARACTERS_PER_TOKEN


def _weight(character: str) -> float:
    return _RANGES[bisect_right(_STARTS, ord(character)) - 1][1]

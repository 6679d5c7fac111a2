"""Shortens a text to a token budget: its start and its end stay, around a note of how much is left out.

No visible character is split: an emoji of several code points, or a letter and its accents, stays whole.
"""

from __future__ import annotations

import unicodedata

from agentd.context.tokens import MOST_TOKENS_PER_CHARACTER, estimate_tokens, may_fit

__all__ = ["boundary", "cut_to_fit"]

_BLOCK_CHARACTERS = 4096
"""How much is estimated at once, so that a long text is looked at only as far as it fits."""

_MOST_JOINED = 32
"""Code points kept together at most: ordinary text has up to 30 marks on a letter (UAX #15, stream-safe)."""

_ZERO_WIDTH_JOINER = "\u200d"

_FLAG_HALVES = "".join(map(chr, range(0x1F1E6, 0x1F200)))

_JOINING_RANGES = (
    (0x200C, 0x200D),  # joiners
    (0x1160, 0x11FF),  # Korean vowels and finals that follow an initial
    (0x1F3FB, 0x1F3FF),  # skin tones
    (0xE0020, 0xE007F),  # tags, of the flags of regions
)


def cut_to_fit(text: str, budget_tokens: int) -> str:
    """Return the text, or its start and end around a note; only the note if there is no room for more."""
    if len(text) * MOST_TOKENS_PER_CHARACTER <= budget_tokens:
        return text
    if may_fit(text, budget_tokens) and estimate_tokens(text) <= budget_tokens:
        return text
    half = (budget_tokens - estimate_tokens(_note(len(text)))) // 2
    start = _length_within(text, half)
    end = max(len(text) - _length_within(text[::-1], half), start)
    start, end = boundary(text, start, -1), boundary(text, end, 1)
    return text[:start] + _note(end - start) + text[end:]


def _note(characters: int) -> str:
    return f"\n[... {characters} characters left out: the text is longer than fits here ...]\n"


def _length_within(text: str, budget_tokens: int) -> int:
    """Return how many characters of the start cost at most so many tokens, block by block."""
    length, size = 0, _BLOCK_CHARACTERS
    while size and length < len(text):
        block = text[length : length + size]
        cost = estimate_tokens(block)
        if cost <= budget_tokens:
            budget_tokens -= cost
            length += len(block)
        else:
            size //= 2
    return length


def boundary(text: str, index: int, step: int) -> int:
    """Return the nearest index, from this one on in the direction `step`, at which no visible character is split."""
    for _ in range(_MOST_JOINED):
        if not 0 < index < len(text) or not _is_joined(text, index):
            break
        index += step
    return index


def _is_joined(text: str, index: int) -> bool:
    before, after = text[index - 1], text[index]
    if before == _ZERO_WIDTH_JOINER or unicodedata.category(after).startswith("M"):
        return True
    if before in _FLAG_HALVES and after in _FLAG_HALVES:
        return (index - len(text[:index].rstrip(_FLAG_HALVES))) % 2 == 1
    return any(first <= ord(after) <= last for first, last in _JOINING_RANGES)

"""This module extracts the person's own words from an exchange: facts are learnt from those alone."""

from __future__ import annotations

from memory.marks import own_words
from memory.model import Exchange

__all__ = ["is_worth_learning", "own_messages"]

MOST_OWN_CHARS = 20_000
"""How many characters of one message are read: its beginning and its end. A pasted book must not delay everybody."""

_END_CHARS = 5_000


def own_messages(exchange: Exchange) -> dict[int, str]:
    """Return the person's own part of each message, by seq; messages without any are left out."""
    own: dict[int, str] = {}
    for words in exchange.said:
        text = own_words(words.text)
        if len(text) > MOST_OWN_CHARS:
            text = f"{text[: MOST_OWN_CHARS - _END_CHARS]}\n{text[-_END_CHARS:]}"
        if text:
            own[words.seq] = f"{own[words.seq]}\n{text}" if words.seq in own else text
    return own


def is_worth_learning(exchange: Exchange, min_chars: int) -> bool:
    """Tell whether the person's own words have at least `min_chars` characters; a shorter exchange is not learnt."""
    return sum(map(len, own_messages(exchange).values())) >= min_chars

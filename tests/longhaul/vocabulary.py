"""This module counts tokens with a real vocabulary, and caches recent counts."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable

__all__ = ["MESSAGE_TOKENS", "Vocabulary", "load_vocabulary"]

MESSAGE_TOKENS = 4
"""What a chat template adds to each message."""

MOST_REMEMBERED = 1_000


class Vocabulary:
    """Counts, and knows what it has counted already."""

    def __init__(self, count: Callable[[str], int]) -> None:
        """Count so."""
        self._count = count
        self._known: dict[str, int] = {}
        self.seconds = 0.0
        """The CPU time that counting has taken."""

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        known = self._known.pop(text, None)
        if known is None:
            began = time.thread_time()
            known = self._count(text)
            self.seconds += time.thread_time() - began
        self._known[text] = known
        if len(self._known) > MOST_REMEMBERED:
            del self._known[next(iter(self._known))]
        return known

    def count_messages(self, texts: Iterable[str]) -> int:
        """Return how many tokens messages have together, with what a template adds."""
        return sum(self.count(text) + MESSAGE_TOKENS for text in texts)


def load_vocabulary() -> Vocabulary:
    """Return o200k_base; it takes a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the package reads its own files in an old way
        from bpe_openai import _bindings
    return Vocabulary(_bindings.tokenizer_for_encoding("o200k_base").count)

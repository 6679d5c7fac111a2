"""This module wraps lines between words while text streams to a terminal."""

from __future__ import annotations

from wcwidth import wcwidth

__all__ = ["WordWrap"]

WIDE = 2
"""Cells of a Chinese, Japanese or Korean character: a line may break after each."""


class WordWrap:
    """Breaks lines between words as text streams by, so that the terminal does not break them inside words.

    A word is held back until it ends or `flush` is called; of the text only the spaces at a line break are replaced.
    """

    def __init__(self, columns: int) -> None:
        """Wrap at so many cells."""
        self._columns = columns
        self._used = 0
        self._space = ""
        self._word = ""

    def feed(self, text: str) -> str:
        """Return what can be written now, line breaks added."""
        return "".join(map(self._take, text))

    def flush(self) -> str:
        """Return the word that is being held back, and count the cells of a new line from here on."""
        ready = self._place()
        self._used = 0
        return ready

    def release(self) -> str:
        """Return all that is being held back, spaces too: the text that follows is not wrapped."""
        word, space = self._place(), self._space
        self._space = ""
        return word + space

    def _take(self, character: str) -> str:
        if not character.isspace():
            self._word += character
            may_break = wcwidth(character) == WIDE or _cells(self._word) >= self._columns
            return self._place() if may_break else ""
        ready = self._place()
        if character == "\n":
            self._used, self._space = 0, ""
            return ready + character
        self._space += character
        return ready

    def _place(self) -> str:
        word, space = self._word, self._space
        if not word:
            return ""
        self._word, self._space = "", ""
        cells = _cells(word)
        if self._used and self._used + _cells(space) + cells > self._columns:
            self._used = cells
            return "\n" + word
        self._used += _cells(space) + cells
        return space + word


def _cells(text: str) -> int:
    return sum(max(wcwidth(character), 0) for character in text)

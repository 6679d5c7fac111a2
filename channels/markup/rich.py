"""This module defines rich text, a text with formatting marks: a reply is rendered to it, and channels send it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["PLAIN", "Dialect", "Kind", "RichText", "Span", "plain", "utf16_units"]

Kind = Literal["bold", "italic", "strike", "spoiler", "code", "pre", "link", "quote"]


@dataclass(frozen=True, slots=True)
class Span:
    """A mark on the characters from `start` up to `end`; `detail` is a link's address or a code block's language."""

    start: int
    end: int
    kind: Kind
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RichText:
    """The text as people read it, and its marks, which may be nested; positions count characters."""

    text: str
    spans: tuple[Span, ...] = ()

    def __add__(self, after: RichText) -> RichText:
        """Return both texts, one behind the other."""
        moved = (
            replace(span, start=span.start + len(self.text), end=span.end + len(self.text)) for span in after.spans
        )
        return RichText(self.text + after.text, (*self.spans, *moved))

    def between(self, start: int, end: int) -> RichText:
        """Return the part from `start` up to `end`, with the marks cut to it."""
        if start <= 0 and end >= len(self.text):
            return self
        cut = (
            Span(max(span.start, start) - start, min(span.end, end) - start, span.kind, span.detail)
            for span in self.spans
            if span.start < end and span.end > start
        )
        return RichText(self.text[start:end], tuple(cut))


def plain(text: str) -> RichText:
    """Return the text as it is, without marks."""
    return RichText(text)


def utf16_units(rich: RichText) -> int:
    """Return the length of the text in UTF-16 units, as most platforms count it."""
    return len(rich.text) if rich.text.isascii() else len(rich.text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a platform shows a reply: `render` turns Markdown into rich text, `most_units` limits one message."""

    render: Callable[[str], RichText]
    units: Callable[[RichText], int] = utf16_units
    """The size of a text as the platform counts it; a longer text is no smaller."""
    most_units: int | None = None


PLAIN = Dialect(plain)
"""A platform without marks and without a limit."""

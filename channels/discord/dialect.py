"""This module writes a reply in Discord's Markdown and measures it against Discord's limit of 2,000 units a message.

Formatting marks are closed at the end of each line and opened again on the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from channels.discord.escaping import might_be_marked
from channels.discord.lines import APART, apart, write_line
from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, RichText, Span, utf16_units

__all__ = ["DISCORD", "MOST_UNITS", "write_markdown"]

MOST_UNITS = 2000
"""The limit of one message (https://docs.discord.com/developers/resources/message#create-message), counted in UTF-16
units, which are never fewer than characters: it holds whichever of the two Discord counts."""

SLACK = 24
"""A reserve in units: a shorter piece of a text can need more escapes, since its marks and addresses read otherwise."""

_FENCE = re.compile("`(?=`)")


def write_markdown(rich: RichText) -> str:
    """Return a text in Discord's Markdown."""
    return _Writer(rich).write()


def _units(rich: RichText) -> int:
    """Return the most UTF-16 units that a text can take once written; for one that is too long, a lower bound of it."""
    least = utf16_units(rich)
    if least > MOST_UNITS or (not rich.spans and not might_be_marked(rich.text)):
        return least
    is_varying = bool(rich.spans) or "://" in rich.text
    return utf16_units(RichText(_Writer(rich, is_widest=True).write())) + (SLACK if is_varying else 0)


DISCORD = Dialect(render_markdown, _units, MOST_UNITS)


class _Writer:
    """Writes one text as Discord's Markdown."""

    def __init__(self, rich: RichText, *, is_widest: bool = False) -> None:
        """Prepare; `is_widest` writes each link in its longest form."""
        self._text = rich.text
        self._spans = rich.spans
        self._is_widest = is_widest
        kinds = {span.kind for span in rich.spans}
        self._halves = ("~" if "strike" in kinds else "") + ("|" if "spoiler" in kinds else "")
        self._quotes = [span for span in rich.spans if span.kind == "quote"]

    def write(self) -> str:
        return "".join(self._blocks())

    def _blocks(self) -> Iterator[str]:
        """Yield lines of text and blocks of code in turn."""
        at = 0
        for span in apart(span for span in self._spans if span.kind == "pre"):
            code = self._text[span.start : span.end]
            if not code.strip():
                continue
            yield from self._lines(at, span.start)
            yield self._block(span, code)
            at = span.end
        yield from self._lines(at, len(self._text))

    def _block(self, span: Span, code: str) -> str:
        """Write a block of code; backquotes inside it are kept apart, so that none of them ends the block."""
        lines = f"```{span.detail}\n{_FENCE.sub('`' + APART, code)}\n```".split("\n")
        prefix = "> " if self._is_quoted(span.start, span.end) else ""
        begins = prefix if self._begins_line(span.start) else ""
        return begins + f"\n{prefix}".join(lines)

    def _lines(self, start: int, end: int) -> Iterator[str]:
        """Yield the lines outside blocks of code."""
        while start < end:
            found = self._text.find("\n", start, end)
            stop = end if found < 0 else found
            yield self._line(start, stop)
            if found >= 0:
                yield "\n"
            start = stop + 1

    def _line(self, start: int, end: int) -> str:
        prefix = "> " if self._begins_line(start) and self._is_quoted(start, max(end, start + 1)) else ""
        here = tuple(
            Span(max(span.start, start) - start, min(span.end, end) - start, span.kind, span.detail)
            for span in self._spans
            if span.start < end and start < span.end and span.kind not in ("pre", "quote")
        )
        return prefix + write_line(self._text[start:end], here, self._halves, is_widest=self._is_widest)

    def _begins_line(self, start: int) -> bool:
        return start == 0 or self._text[start - 1] == "\n"

    def _is_quoted(self, start: int, end: int) -> bool:
        return any(span.start < end and start < span.end for span in self._quotes)

"""This module builds rich text from front to back: blocks, list items, indentation and nested formatting marks."""

from __future__ import annotations

from dataclasses import replace

from channels.markup.rich import Kind, RichText, Span

__all__ = ["Page"]

_UNKNOWN = -1
"""The start of a mark whose first line is not begun yet."""


class Page:
    """Collects text and its formatting marks; what is written is inside all marks that are open.

    Gaps between blocks and the indentation of a line are written when the next words come, so that a page ends with
    words.
    """

    def __init__(self) -> None:
        """Begin an empty page."""
        self._parts: list[str] = []
        self._length = 0
        self._gap = ""
        self._indents: list[str] = []
        self._open: list[tuple[int, Kind | None, str]] = []
        self._spans: list[Span] = []

    def rich(self) -> RichText:
        """Return the rich text, with outer marks before the inner ones."""
        spans = sorted(reversed(self._spans), key=lambda span: (span.start, -span.end))
        return RichText("".join(self._parts), tuple(spans))

    def mark(self) -> int:
        """Return the place in the page, for `since`."""
        self._begin()
        return len(self._parts)

    def since(self, mark: int) -> str:
        """Return what was written after that place."""
        return "".join(self._parts[mark:])

    def put(self, text: str) -> None:
        """Write words without a line end in them."""
        if text:
            self._begin()
            self._append(text)

    def add(self, rich: RichText) -> None:
        """Write a line of rich text, with its own marks."""
        self._begin()
        at = self._length
        outer = {kind for _, kind, _ in self._open}
        inner = (span for span in rich.spans if span.kind not in outer)
        self._spans += (replace(span, start=span.start + at, end=span.end + at) for span in inner)
        self._append(rich.text)

    def put_block(self, text: str, kind: Kind, detail: str = "") -> None:
        """Write whole lines as they are, without indentation, with one mark around them."""
        self.start_line()
        self._begin(is_indented=False)
        self._spans.append(Span(self._length, self._length + len(text), kind, detail))
        self._append(text)

    def end_line(self) -> None:
        """Go to the next line, in the same block."""
        self._gap = "\n"

    def part(self, *, by_empty_line: bool) -> None:
        """Begin the next block on a new line, or after an empty one; the first block begins where the page does."""
        if self._length and self._gap != " ":
            self._gap = "\n\n" if by_empty_line else self._gap or "\n"

    def start_line(self) -> None:
        """Put the next block below the bullet that it belongs to."""
        if self._gap == " ":
            self._gap = "\n"

    def begin_item(self, marker: str) -> None:
        """Write a bullet or number; what follows it is indented until the item ends."""
        self.put(marker)
        self._gap = " "
        self.indent(" " * (len(marker) + 1))

    def end_item(self) -> None:
        """End the item and its indentation."""
        self.dedent()
        if self._gap == " ":
            self._gap = ""

    def indent(self, prefix: str) -> None:
        """Begin each line with `prefix`, until `dedent`."""
        self._indents.append(prefix)

    def dedent(self) -> None:
        """End the innermost indentation."""
        self._indents.pop()

    def open(self, kind: Kind, detail: str = "") -> None:
        """Open a mark here; inside a mark of the same kind it has no effect."""
        self._begin()
        self._open_at(self._length, kind, detail)

    def open_block(self, kind: Kind) -> None:
        """Open a mark at the start of the next line."""
        self.start_line()
        self._open_at(_UNKNOWN, kind)

    def close(self) -> None:
        """Close the innermost mark; one around nothing is dropped."""
        start, kind, detail = self._open.pop()
        if kind is not None and _UNKNOWN < start < self._length:
            self._spans.append(Span(start, self._length, kind, detail))

    def _open_at(self, start: int, kind: Kind, detail: str = "") -> None:
        is_open = any(outer == kind for _, outer, _ in self._open)
        self._open.append((start, None if is_open else kind, detail))

    def _begin(self, *, is_indented: bool = True) -> None:
        """Write the gap and the indentation before the next words."""
        if self._gap:
            self._append(self._gap)
        for number in range(len(self._open) - 1, -1, -1):
            start, kind, detail = self._open[number]
            if start != _UNKNOWN:
                break
            self._open[number] = (self._length, kind, detail)
        if self._gap != " " and is_indented and self._indents and (self._gap or not self._length):
            self._append("".join(self._indents))
        self._gap = ""

    def _append(self, text: str) -> None:
        self._parts.append(text)
        self._length += len(text)

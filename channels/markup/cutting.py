"""Text in pieces that a platform takes: cut between blocks, else lines, else words, else characters.

Each cut depends only on the text up to it, so that a reply that grows keeps the pieces that it has. What is marked
stays marked on both sides of a cut: a code block that is cut is closed in one piece and opened again in the next.
Platforms trim what they are sent, so that no piece begins or ends with space, but for the indentation of code.
"""

from __future__ import annotations

from channels.markup.characters import is_blank, is_joined
from channels.markup.rich import Dialect, RichText

__all__ = ["cut_piece"]

_BREAKS = ("\n\n", "\n", " ")


def cut_piece(rich: RichText, dialect: Dialect) -> tuple[RichText, RichText]:
    """Return a first piece that one of the platform's messages takes, and the rest; only space is left out between.

    A piece is at least half full where the text goes on: a break further ahead than that is passed over for a smaller
    one. One that shows nothing is passed over too, and what is returned is blank only where the text is.
    """
    if dialect.most_units is None:
        return rich, RichText("")
    if is_blank(rich.text):
        return rich.between(0, _room(rich, dialect, dialect.most_units)), RichText("")
    while True:
        rich = rich.between(_first(rich, 0), len(rich.text.rstrip()))
        if dialect.units(rich) <= dialect.most_units:
            return rich, RichText("")
        end, start = _cut(rich, _room(rich, dialect, dialect.most_units))
        piece = rich.between(0, len(rich.text[:end].rstrip()))
        rest = rich.between(_first(rich, start), len(rich.text))
        if not is_blank(piece.text):
            return piece, RichText("") if is_blank(rest.text) else rest
        rich = rest


def _cut(rich: RichText, room: int) -> tuple[int, int]:
    """Return where the piece ends that has this much room, and where the rest starts."""
    text = rich.text
    for separator in _BREAKS:
        # One character more than fits: a break there means that the words before it fit.
        at = text.rfind(separator, room // 2, room + len(separator))
        while at > 0:
            after = at + len(separator)
            if not (is_joined(text, after) or (separator == "\n\n" and _is_in_code(rich, at, after))):
                return at, after
            at = text.rfind(separator, room // 2, at)
    whole = room
    while whole > room // 2 and is_joined(text, whole):
        whole -= 1
    return (room, room) if whole <= room // 2 else (whole, whole)


def _is_in_code(rich: RichText, start: int, end: int) -> bool:
    """Tell whether a code block goes on over this part: an empty line in it is no end of a block."""
    return any(span.kind == "pre" and span.start < start and end < span.end for span in rich.spans)


def _first(rich: RichText, start: int) -> int:
    """Return where words begin after `start`; the line's indentation is one of them in a code block."""
    text = rich.text
    found = len(text) - len(text[start:].lstrip())
    line = max(start, text.rfind("\n", 0, found) + 1)
    codes = (span.start for span in rich.spans if span.kind == "pre" and span.start <= found < span.end)
    return min((max(line, code) for code in codes), default=found)


def _room(rich: RichText, dialect: Dialect, most_units: int) -> int:
    """Return how many characters fit; at least one, so that a cut always gets on."""
    too_many = min(most_units + 1, len(rich.text))
    while too_many < len(rich.text) and dialect.units(rich.between(0, too_many)) <= most_units:
        too_many = min(2 * too_many, len(rich.text))
    head = rich.between(0, too_many)
    fits = 0
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if dialect.units(head.between(0, middle)) <= most_units:
            fits = middle
        else:
            too_many = middle
    return max(fits, 1)

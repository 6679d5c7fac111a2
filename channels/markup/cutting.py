"""This module splits a long reply into messages: between paragraphs if it can, else between lines, words or characters.

Each cut depends only on the text up to it, so that a streamed reply keeps the pieces that it has. Formatting goes on
behind a cut: a code block that is cut is closed in one piece and opened again in the next. Platforms trim what they are
sent, so that no piece begins or ends with space, except for the indentation of code.
"""

from __future__ import annotations

from channels.markup.characters import is_blank, is_joined
from channels.markup.rich import Dialect, RichText

__all__ = ["cut_piece"]

_BREAKS = ("\n\n", "\n", " ")


def cut_piece(rich: RichText, dialect: Dialect) -> tuple[RichText, RichText]:
    """Return a first piece that fits one message of the platform, and the rest; only space between them is dropped.

    If the text goes on, a piece is at least half full: a paragraph break further ahead is passed over for a lesser
    break. A piece that shows nothing is dropped, and the result is blank only if the text is.
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
    """Return where a piece of at most `room` characters ends, and where the rest starts."""
    text = rich.text
    for separator in _BREAKS:
        # The search goes one break beyond the room: a break there means that the words before it fit.
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
    """Tell whether this part lies inside a code block, where an empty line ends no paragraph."""
    return any(span.kind == "pre" and span.start < start and end < span.end for span in rich.spans)


def _first(rich: RichText, start: int) -> int:
    """Return where the words after `start` begin; in a code block the line's indentation belongs to them."""
    text = rich.text
    found = len(text) - len(text[start:].lstrip())
    line = max(start, text.rfind("\n", 0, found) + 1)
    codes = (span.start for span in rich.spans if span.kind == "pre" and span.start <= found < span.end)
    return min((max(line, code) for code in codes), default=found)


def _room(rich: RichText, dialect: Dialect, most_units: int) -> int:
    """Return how many characters fit; at least one, so that cutting always comes to an end."""
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

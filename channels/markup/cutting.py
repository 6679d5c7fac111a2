"""Text in pieces that a platform takes: cut between blocks, else lines, else words, else characters.

Each cut depends only on the text up to it, so that a reply that grows keeps the pieces that it has. What is marked
stays marked on both sides of a cut: a code block that is cut is closed in one piece and opened again in the next.
"""

from __future__ import annotations

from channels.markup.rich import Dialect, RichText

__all__ = ["cut_piece"]

_BREAKS = ("\n\n", "\n", " ")


def cut_piece(rich: RichText, dialect: Dialect) -> tuple[RichText, RichText]:
    """Return a first piece that one of the platform's messages takes, and the rest.

    The break at the cut, a space or the line ends, stands in neither. A piece is at least half full where the text
    goes on: a break further ahead than that is passed over for a smaller one.
    """
    text = rich.text
    if dialect.most_units is None or dialect.units(rich) <= dialect.most_units:
        return rich, RichText("")
    # One character more than fits: a break there means that the words before it fit.
    room = _room(rich, dialect, dialect.most_units)
    for separator in _BREAKS:
        at = text.rfind(separator, room // 2, room + len(separator))
        if at > 0 and text[:at].strip():
            end = len(text[:at].rstrip("\n"))
            start = len(text) - len(text[at + len(separator) :].lstrip("\n"))
            return rich.between(0, end), rich.between(start, len(text))
    return rich.between(0, room), rich.between(room, len(text))


def _room(rich: RichText, dialect: Dialect, most_units: int) -> int:
    """Return how many characters fit; at least one, so that a cut always gets on."""
    fits, too_many = 0, len(rich.text)
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        if dialect.units(rich.between(0, middle)) <= most_units:
            fits = middle
        else:
            too_many = middle
    return max(fits, 1)

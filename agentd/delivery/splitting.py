"""Text in pieces that a platform takes: cut between blocks, else lines, else words, else characters.

Each cut depends only on the text up to it, so that a reply that grows keeps the pieces that it has.
"""

from __future__ import annotations

__all__ = ["cut_piece"]

_BREAKS = ("\n\n", "\n", " ")


def cut_piece(text: str, most_units: int | None) -> tuple[str, str]:
    """Return a first piece of at most so many UTF-16 code units, and the rest.

    The break at the cut, a space or the line ends, stands in neither. A piece is at least half full where the text
    goes on: a break further ahead than that is passed over for a smaller one.
    """
    if most_units is None or _fits(text, most_units):
        return text, ""
    # One character more than fits: a break there means that the words before it fit.
    room = _prefix(text, most_units)
    for separator in _BREAKS:
        at = text.rfind(separator, room // 2, room + len(separator))
        if at > 0 and text[:at].strip():
            return text[:at].rstrip("\n"), text[at + len(separator) :].lstrip("\n")
    return text[:room], text[room:]


def _fits(text: str, most_units: int) -> bool:
    return len(text) <= most_units and (text.isascii() or len(text.encode("utf-16-le")) <= 2 * most_units)


def _prefix(text: str, most_units: int) -> int:
    """Return how many characters fit; at least one, so that a cut always gets on."""
    return max(len(text[:most_units].encode("utf-16-le")[: 2 * most_units].decode("utf-16-le", "ignore")), 1)

"""Finds in a message what the assistant said first: pasted back without any mark, it is still not its author's."""

from __future__ import annotations

from collections.abc import Iterable

from memory.quotes import sentences

__all__ = ["without_echoes"]

LEAST_CHARS = 12
"""A shorter sentence is an answer ("yes, please"), not a paste."""

_MARKUP = str.maketrans("", "", '*_`#>|~"“”„«»')


def without_echoes(text: str, answers: Iterable[str], own: Iterable[str]) -> str:
    """Return a message without the sentences that stand in one of these answers word for word.

    What its author wrote before (`own`) stays, although an answer has it too: there the assistant repeats them. Case,
    white space, markup and quotation marks do not matter.
    """
    said = "\n".join(map(_folded, answers))
    pieces = sentences(text) if said else []
    echoes = [piece for piece in pieces if len(_folded(piece)) >= LEAST_CHARS and _folded(piece) in said]
    if not echoes:
        return text
    before = "\n".join(map(_folded, own))
    taken = {piece for piece in echoes if _folded(piece) not in before}
    return "\n".join(piece for piece in pieces if piece not in taken) if taken else text


def _folded(text: str) -> str:
    return " ".join(text.translate(_MARKUP).casefold().split())

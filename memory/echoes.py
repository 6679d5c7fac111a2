"""This module removes sentences from a message that were pasted from the assistant's answers: they are no evidence."""

from __future__ import annotations

from collections.abc import Iterable

from memory.quotes import sentences

__all__ = ["without_echoes"]

LEAST_CHARS = 12
"""The shortest sentence that counts as pasted; a shorter one is an answer ("yes, please")."""

_MARKUP = str.maketrans("", "", '*_`#>|~"“”„«»')


def without_echoes(text: str, answers: Iterable[str], own: Iterable[str]) -> str:
    """Return a message without the sentences that occur word for word in one of the answers.

    A sentence that its author wrote earlier (`own`) stays, since then the assistant had repeated it. Case, white space,
    markup and quotation marks are ignored.
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

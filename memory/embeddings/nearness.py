"""This module compares a question's vector with those of all entries: cosine similarity, computed by numpy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from memory.model import Kind
from memory.recall import SAME_OCCASION_SECONDS, Likeness

__all__ = ["Nearness", "Row"]

NEIGHBOUR_SHARE = 0.4
"""The weight of the vectors of the entries before and behind, within one occasion; an entry's own has 1."""

Row = tuple[int, str, str, int, bytes]
"""An entry's id, session, kind, time in milliseconds, and vector."""


class Nearness:
    """The vectors of some entries, in the entries' order, ready to be compared with a question's."""

    def __init__(self, rows: Sequence[Row], size: int) -> None:
        """Take in rows, mixing each vector with its neighbours'; vectors have `size` bytes."""
        self.count, self.size = len(rows), size
        self._places = {row[0]: place for place, row in enumerate(rows)}
        self._ids = [row[0] for row in rows]
        if not rows:
            return
        own = np.frombuffer(b"".join(row[4] for row in rows), dtype="<f4").reshape(len(rows), -1)
        joined = own.copy()
        shares = NEIGHBOUR_SHARE * np.array([_are_near(a, b) for a, b in pairwise(rows)], dtype=np.float32)[:, None]
        joined[1:] += shares * own[:-1]
        joined[:-1] += shares * own[1:]
        lengths = np.sqrt(np.einsum("ij,ij->i", joined, joined))[:, None]
        joined /= np.maximum(lengths, 1e-12)
        self._vectors = joined

    def likeness(self, asked: bytes, most: int, also: Iterable[int]) -> Likeness:
        """Return the cosines of the `most` nearest entries and of those in `also`, and the least cosine of all."""
        if not self._ids:
            return Likeness({}, 0.0)
        cosines = self._vectors @ np.frombuffer(asked, dtype="<f4")
        nearest = np.argsort(-cosines, kind="stable")[:most]
        places = {*nearest.tolist(), *(self._places[entry] for entry in also if entry in self._places)}
        return Likeness({self._ids[place]: float(cosines[place]) for place in places}, float(cosines.min()))


def _are_near(row: Row, other: Row) -> bool:
    near = abs(row[3] - other[3]) <= SAME_OCCASION_SECONDS * 1000
    return near and row[1] == other[1] and row[2] == other[2] == Kind.DAILY

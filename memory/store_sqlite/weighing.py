"""This module computes BM25 scores as SQLite's FTS5 does, and counts the words of an entry's neighbours, too.

Entries are known by their places in the index here, and nothing is read from disk.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence

from memory.recall import AROUND_WEIGHT, ASKED_WEIGHT, BODY_WEIGHT, NEIGHBOURS
from memory.store_sqlite.indexing import unpack

__all__ = ["Hit", "best_places", "spread", "weigh"]

Hit = tuple[int, int]
"""A place of a word of the question, and the word's packed counts there."""

_SATURATION, _LENGTH = 1.2, 0.75
"""BM25's k1 and b, as FTS5 has them."""

_LEAST_RARITY = 1e-6
"""The rarity of a word that occurs in half of all entries or more, as in FTS5."""

_AROUND = tuple(step for step in range(-NEIGHBOURS, NEIGHBOURS + 1) if step)


def spread(hits: Iterable[Hit]) -> dict[int, float]:
    """Return a word's weighted count at each place, lent to the neighbours too; a question lends more to its answer."""
    often: dict[int, float] = {}
    for place, told in hits:
        here, lent, asks = unpack(told)
        often[place] = often.get(place, 0.0) + BODY_WEIGHT * here
        if not lent:
            continue
        for step in _AROUND:
            weight = ASKED_WEIGHT if asks and step == 1 else AROUND_WEIGHT
            often[place + step] = often.get(place + step, 0.0) + weight * lent
    return often


def best_places(found: Sequence[Mapping[int, float]], entries: int, most: int) -> list[int]:
    """Return the `most` best places by a rough score that leaves out the entries' lengths."""
    rough: dict[int, float] = {}
    for often in found:
        rarity = _rarity(len(often), entries)
        for place, times in often.items():
            rough[place] = rough.get(place, 0.0) + rarity * times / (times + _SATURATION)
    return list(rough) if len(rough) <= most else heapq.nlargest(most, rough, key=rough.__getitem__)


def weigh(
    found: Sequence[Mapping[int, float]], entries: int, average: float, lengths: Mapping[int, int], all_known: bool
) -> dict[int, float]:
    """Return the BM25 scores of those places whose length, in words, is given.

    Before the first and behind the last entry of an occasion there are places without an entry: they have no length. If
    the lengths of all entries are known (`all_known`), such places do not count for a word's rarity.
    """
    scores = dict.fromkeys(lengths, 0.0)
    damping = {place: _SATURATION * (1 - _LENGTH + _LENGTH * length / average) for place, length in lengths.items()}
    for often in found:
        known = often.keys() & lengths.keys()
        rarity = _rarity(len(known if all_known else often), entries) * (_SATURATION + 1)
        for place in known:
            scores[place] += rarity * often[place] / (often[place] + damping[place])
    return scores


def _rarity(standing: int, entries: int) -> float:
    return max(math.log(max(entries - standing + 0.5, 0.5) / (standing + 0.5)), _LEAST_RARITY)

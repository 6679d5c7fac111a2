"""This module ranks recalled entries: it joins BM25 and embedding scores, then weighs in author, time and occasion.

It is the second of two stages, the same for every database. The first stage is the store's BM25 search over three
columns: the entry with its date and its author, the question that it answers, and its neighbours.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from heapq import heapify, heappop, heappush

from memory.model import Kind, Recalled, Reserve
from memory.text.dates import asks_when, date_words, is_question, speaks_of_time
from memory.text.words import count_subjects, index_text, stems

__all__ = [
    "AROUND_WEIGHT",
    "ASKED_WEIGHT",
    "BODY_WEIGHT",
    "CANDIDATES",
    "NEIGHBOURS",
    "SAME_OCCASION_SECONDS",
    "Candidate",
    "Indexed",
    "Likeness",
    "Told",
    "choose",
    "fuse",
    "index",
    "rank",
]

BODY_WEIGHT = 1.0
ASKED_WEIGHT = 0.9
AROUND_WEIGHT = 0.3
"""The weights of a word in an entry, in the question before it, and in its neighbours."""

NEIGHBOURS = 2
"""How many entries before and behind an entry are its neighbours, within one occasion."""

SAME_OCCASION_SECONDS = 6 * 3600
"""Entries of one session that are no further apart belong to one occasion."""

CANDIDATES = 200
"""How many entries of the first stage the second stage ranks."""

WORDS_SHARE, MEANING_SHARE = 0.6, 0.4
"""The weights of BM25 and of cosine similarity, each scaled to the range 0 to 1."""

MEANING_FLOOR = 0.4
"""The share of the way from the least cosine to the best below which a cosine counts as 0: it shows no relation."""

NAMED_BONUS = 0.6
"""The bonus for an entry whose author the question names."""

OCCASION_BONUS, OCCASION_SIZE = 0.3, 5
"""The bonus for entries of an occasion of which much was found; its best five entries count."""

TIME_BONUS = 0.1
"""The bonus for an entry that speaks of a time, if the question asks for one."""

QUESTION_LOSS = 0.1
"""The loss of an entry that is a question itself, and so answers none."""

FEW_WORDS, FEW_WORDS_POWER = 12, 0.2
"""An entry with fewer words other than stop words says little, and counts less."""

IMPORTANCE_BONUS = 0.2
RECENT_BONUS, RECENT_DAYS = 0.05, 90.0
"""The bonus for a new entry; it halves every 90 days, and decides between equals."""


@dataclass(frozen=True, slots=True)
class Told:
    """The parts of an entry that are indexed."""

    author: str
    text: str
    happened: datetime


@dataclass(frozen=True, slots=True)
class Indexed:
    """The three columns of an entry in the index."""

    body: str
    asked: str = ""
    around: str = ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that the first stage found."""

    id: int
    score: float
    kind: Kind
    author: str
    session: str
    happened: datetime
    text: str
    importance: float


@dataclass(frozen=True, slots=True)
class Likeness:
    """The cosine similarity of entries to a question."""

    cosines: Mapping[int, float]
    least: float
    """The least cosine of all entries, also of those not in `cosines`."""


def index(told: Told, before: Sequence[Told], behind: Sequence[Told]) -> Indexed:
    """Return an entry's columns; neighbours are given nearest first, and only those of the same occasion."""
    body = index_text(f"{date_words(told.happened)}. {told.author}: {told.text}")
    asked = [found for found in before[:1] if is_question(found.text)]
    around = [*before[len(asked) : NEIGHBOURS], *behind[:NEIGHBOURS]]
    return Indexed(body, _joined(asked), _joined(around))


def _joined(entries: Iterable[Told]) -> str:
    return " ".join(index_text(f"{found.author} {found.text}") for found in entries)


def fuse(scores: Mapping[int, float], likeness: Likeness | None = None) -> dict[int, float]:
    """Join BM25 and cosine into one score for each entry; ranks alone would give the weaker one as much weight."""
    best = max(scores.values(), default=0.0) or 1.0
    if likeness is None or not likeness.cosines:
        return {entry: score / best for entry, score in scores.items()}
    most = max(likeness.cosines.values())
    floor = likeness.least + MEANING_FLOOR * (most - likeness.least)
    spread = (most - floor) or 1.0
    return {
        entry: WORDS_SHARE * scores.get(entry, 0.0) / best
        + MEANING_SHARE * max(likeness.cosines.get(entry, floor) - floor, 0.0) / spread
        for entry in {*scores, *likeness.cosines}
    }


def rank(question: str, candidates: Sequence[Candidate], now: datetime) -> Iterator[Candidate]:
    """Yield the candidates in their final order; of equals, the one with the lowest id comes first.

    An entry's text is analysed only when that could decide its place, which is the case for few of 200.
    """
    best = max((found.score for found in candidates), default=0.0) or 1.0
    scores = {found.id: found.score / best for found in candidates}
    occasions = _occasions(candidates, scores)
    asked, when = set(stems(question)), asks_when(question)
    named = {author for author in {found.author for found in candidates} if asked.intersection(stems(author))}
    waiting = []
    for place, found in enumerate(candidates):
        base = scores[found.id] + OCCASION_BONUS * occasions[_occasion(found)]
        most = base * _factor(found, found.author in named, when, now, looks=False)
        waiting.append((-most, found.id, place, base, False))
    heapify(waiting)
    while waiting:
        _, number, place, base, is_final = heappop(waiting)
        found = candidates[place]
        if is_final:
            yield found
        else:
            final = base * _factor(found, found.author in named, when, now, looks=True)
            heappush(waiting, (-final, number, place, base, True))


def _occasion(found: Candidate) -> tuple[str, int]:
    return found.session, int(found.happened.timestamp() // SAME_OCCASION_SECONDS)


def _occasions(candidates: Sequence[Candidate], scores: Mapping[int, float]) -> Mapping[tuple[str, int], float]:
    """Return how much was found of each occasion, from 0 to 1."""
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    for candidate in sorted(candidates, key=lambda given: -scores[given.id]):
        found[_occasion(candidate)].append(scores[candidate.id])
    sums = {occasion: sum(best[:OCCASION_SIZE]) for occasion, best in found.items()}
    most = max(sums.values(), default=0.0) or 1.0
    return {occasion: total / most for occasion, total in sums.items()}


def _factor(found: Candidate, named: bool, when: bool, now: datetime, *, looks: bool) -> float:
    """Return the factor of an entry's score; with `looks` False, its upper bound without analysing the text."""
    factor = 1 + NAMED_BONUS if named else 1.0
    if when and (not looks or speaks_of_time(found.text)):
        factor *= 1 + TIME_BONUS
    if looks and is_question(found.text):
        factor *= 1 - QUESTION_LOSS
    if looks:
        factor *= math.pow(min(1.0, count_subjects(found.text) / FEW_WORDS), FEW_WORDS_POWER)
    days = max((now - found.happened).total_seconds() / 86400, 0.0)
    return factor * (1 + IMPORTANCE_BONUS * found.importance) * (1 + RECENT_BONUS * math.exp2(-days / RECENT_DAYS))


def choose(ranked: Iterable[Candidate], reserve: Reserve) -> tuple[Recalled, ...]:
    """Return as many entries as the reserve has room for, each cut to its length, and none twice in the same words."""
    chosen: list[Recalled] = []
    seen: set[tuple[str, ...]] = set()
    left = reserve.total_chars
    for place, found in enumerate(ranked):
        if len(chosen) == reserve.entries or left <= 0:
            break
        words = tuple(stems(found.text))
        if words in seen:
            continue
        seen.add(words)
        text = _cut(found.text, min(reserve.entry_chars, left))
        left -= len(text)
        chosen.append(Recalled(found.id, found.kind, text, found.happened, 1 / (1 + place)))
    return tuple(chosen)


def _cut(text: str, most: int) -> str:
    """Return a text cut to `most` characters, between words if a space is near, with an ellipsis."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    blank = kept.rfind(" ")
    return (kept[:blank] if blank > most // 2 else kept) + "…"

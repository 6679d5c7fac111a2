"""This module is a memory store in a dict, which ends with the process; it passes the same tests as the databases."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

from memory.comparing import Known
from memory.learning import MOST_EVIDENCE, Step, decide, read_said
from memory.model import (
    Change,
    Deed,
    Erased,
    Evidence,
    Exchange,
    Kind,
    LearnOutcome,
    Lesson,
    Memory,
    Recalled,
    Reserve,
    Who,
)
from memory.recall import Candidate, Told, choose, index, rank
from memory.text.words import query_terms

__all__ = ["InMemoryMemory"]


@dataclass(slots=True)
class _Entry:
    """An entry, with the fields that its person does not see."""

    memory: Memory
    author: str
    about: str = ""
    vector_of: str | None = None


class InMemoryMemory:
    """A memory store with all of its parts, in a dict."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        """Begin without entries."""
        self._clock = clock
        self._entries: dict[int, _Entry] = {}
        self._learnt: set[tuple[str, str, str, int, int]] = set()
        self._last_id = 0

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Write entries and mark the range as done."""
        exchange = lesson.exchange
        if lesson.is_range and await self.knows(exchange):
            return LearnOutcome(False)
        if lesson.daily is not None:
            daily = lesson.daily
            self._add(exchange, Kind.DAILY, daily.text, daily.happened, daily.importance)
        said = read_said(exchange)
        changes = [self._do(exchange, decide(said, fact, list(self._known(exchange)))) for fact in lesson.facts]
        if lesson.is_range:
            self._learnt.add((exchange.session, exchange.began, exchange.person, exchange.first, exchange.last))
        return LearnOutcome(True, tuple(changes))

    async def knows(self, exchange: Exchange) -> bool:
        """Tell whether the range, or a part of it, was learnt before."""
        whose = (exchange.session, exchange.began, exchange.person)
        return any(
            found[:3] == whose and found[4] >= exchange.first and found[3] <= exchange.last for found in self._learnt
        )

    async def watermark(self, session: str, began: str) -> int | None:
        """Return the last seq of the session that was learnt from."""
        return max((found[4] for found in self._learnt if found[:2] == (session, began)), default=None)

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Return what answers the question, best first."""
        return choose(self._ranked(who, question), reserve)

    async def search(self, who: Who, question: str, most: int) -> tuple[int, ...]:
        """Return the ids of what answers the question, best first."""
        return tuple(found.id for found in islice(self._ranked(who, question), most))

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Return a page, newest first."""
        found = [entry.memory for entry in self._seen(who) if before is None or entry.memory.id < before]
        return tuple(found[::-1][:most])

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Return an entry, if this person may see it here."""
        return next((found.memory for found in self._seen(who) if found.memory.id == entry), None)

    async def people(self) -> tuple[str, ...]:
        """Return the sorted ids of everybody who has entries."""
        return tuple(sorted({entry.memory.person for entry in self._entries.values()}))

    async def forget(self, who: Who, entry: int) -> bool:
        """Remove an entry, if this person may see it here."""
        if await self.why(who, entry) is None:
            return False
        self._remove([entry])
        return True

    async def export(self, senders: frozenset[str]) -> tuple[Memory, ...]:
        """Return all that is known about a person, oldest first."""
        return tuple(entry.memory for entry in self._seen(Who(senders, direct=True)))

    async def erase(self, senders: frozenset[str]) -> Erased:
        """Remove all that is known about a person."""
        gone = await self.export(senders)
        self._remove([memory.id for memory in gone])
        self._learnt = {found for found in self._learnt if found[2] not in senders}
        return Erased(len(gone), sum(len(memory.evidence) for memory in gone))

    async def without_vector(self, model: str, most: int) -> tuple[tuple[int, str], ...]:
        """Return entries that have no vector of that model yet, oldest first."""
        wanted = [
            (number, f"{entry.author}: {entry.memory.text}")
            for number, entry in self._entries.items()
            if entry.vector_of != model and entry.memory.superseded_at is None
        ]
        return tuple(wanted[:most])

    async def keep_vectors(self, model: str, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Keep vectors of entries that are still there."""
        for number, _ in vectors:
            if number in self._entries:
                self._entries[number].vector_of = model

    def _seen(self, who: Who) -> Iterator[_Entry]:
        for entry in self._entries.values():
            if entry.memory.person in who.senders and (who.direct or not entry.memory.direct):
                yield entry

    def _ranked(self, who: Who, question: str) -> Iterator[Candidate]:
        seen = [entry for entry in self._seen(who) if entry.memory.superseded_at is None]
        texts = [f" {index(_told(entry), [], []).body} " for entry in seen]
        terms = [f" {' '.join(term)} " for term in query_terms(question)]
        standing = Counter(term for term in terms for text in texts if term in text)
        found = []
        for entry, text in zip(seen, texts, strict=True):
            score = sum(math.log(1 + len(texts) / standing[term]) for term in terms if term in text)
            if score:
                found.append(_candidate(entry, score))
        return rank(question, found, self._clock())

    def _known(self, exchange: Exchange) -> Iterator[Known]:
        for entry in self._seen(Who(frozenset({exchange.person}), direct=True)):
            known = entry.memory
            if known.kind is Kind.CORE and known.superseded_at is None and known.direct == exchange.direct:
                yield Known(known.id, known.text, entry.about)

    def _do(self, exchange: Exchange, step: Step) -> Change:
        if step.deed is Deed.UNFOUNDED:
            return Change(step.deed, None)
        number = step.entry
        if number is None or step.deed is not Deed.KNOWN:
            happened = max(words.at for words in exchange.said)
            number = self._add(exchange, Kind.CORE, step.fact.text, happened, step.fact.importance)
            self._entries[number].about = step.fact.about
        if step.entry is not None and step.entry != number:
            old = self._entries[step.entry]
            old.memory = replace(old.memory, superseded_at=self._clock(), superseded_by=number)
            new = self._entries[number]
            new.memory = replace(new.memory, replaced=(*new.memory.replaced, step.entry))
        entry = self._entries[number]
        entry.memory = replace(entry.memory, evidence=_joined(entry.memory.evidence, step.fact.evidence))
        return Change(step.deed, number)

    def _add(self, exchange: Exchange, kind: Kind, text: str, happened: datetime, importance: float) -> int:
        self._last_id += 1
        memory = Memory(
            self._last_id, exchange.person, kind, text, self._clock(), happened, exchange.direct, exchange.session,
            exchange.first, exchange.last, importance,
        )  # fmt: skip
        self._entries[self._last_id] = _Entry(memory, exchange.name)
        return self._last_id

    def _remove(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            del self._entries[number]
        for entry in self._entries.values():
            if entry.memory.superseded_by in numbers:
                entry.memory = replace(entry.memory, superseded_by=None)
            left = tuple(old for old in entry.memory.replaced if old not in numbers)
            entry.memory = replace(entry.memory, replaced=left)


def _told(entry: _Entry) -> Told:
    return Told(entry.author, entry.memory.text, entry.memory.happened)


def _candidate(entry: _Entry, score: float) -> Candidate:
    kept = entry.memory
    return Candidate(
        kept.id, score, kept.kind, entry.author, kept.session, kept.happened, kept.text, kept.importance
    )  # fmt: skip


def _joined(known: tuple[Evidence, ...], more: tuple[Evidence, ...]) -> tuple[Evidence, ...]:
    """Return the evidence for a fact, one for each message, in the order of the messages."""
    places = {(given.session, given.seq): given for given in (*more, *known)}
    room = [*known, *(given for given in more if (given.session, given.seq) not in {(k.session, k.seq) for k in known})]
    kept = room[:MOST_EVIDENCE]
    return tuple(places[key] for key in sorted((given.session, given.seq) for given in kept))

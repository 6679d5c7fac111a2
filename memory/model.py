"""This module defines the values of memory: exchanges, facts with their evidence, entries, and what is recalled."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

__all__ = [
    "MOST_EVIDENCE",
    "MOST_FACT_CHARS",
    "Change",
    "Daily",
    "Deed",
    "Erased",
    "Evidence",
    "Exchange",
    "Fact",
    "Kind",
    "LearnOutcome",
    "Lesson",
    "Memory",
    "Recalled",
    "Reserve",
    "Who",
    "Words",
]

MOST_FACT_CHARS = 800
"""The longest fact, in characters: as long as one entry may be when it is recalled."""

MOST_EVIDENCE = 20
"""How many places where a fact was said are kept; saying it daily makes it no truer."""


class Kind(StrEnum):
    """The kind of an entry: something that happened (daily), or a lasting fact (core)."""

    DAILY = "daily"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class Who:
    """The person who asks, and whether in private: every query to the store carries it."""

    senders: frozenset[str]
    """All ids (CHANNEL:SENDER) of one person; entries of other people are never returned."""
    direct: bool
    """Whether nobody else reads along; if others do, what was learnt in private is not returned."""


@dataclass(frozen=True, slots=True)
class Words:
    """One message of the person's, as it was written."""

    seq: int
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Some turns of one person in one session: memory is learnt from exchanges."""

    session: str
    """The session's key, as text."""
    first: int
    last: int
    """The range of seqs of the exchange, both included."""
    person: str
    """The sender's id, CHANNEL:SENDER."""
    name: str
    direct: bool
    said: tuple[Words, ...]
    """The person's own words: facts are learnt from these alone."""
    began: str = ""
    """When the session's file was begun, by its header: in another file the same seqs are other messages."""
    answered: str = ""
    """The assistant's words; they explain what was said, and nothing is learnt from them."""
    trace: str = ""
    """The trace id of the exchange in the log."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A quote of the person's words that supports a fact."""

    session: str
    seq: int
    quote: str


@dataclass(frozen=True, slots=True)
class Daily:
    """What happened in an exchange."""

    text: str
    happened: datetime
    importance: float = 0.5
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something lasting about the person."""

    text: str
    evidence: tuple[Evidence, ...]
    about: str = ""
    """The slot that it fills, if a person has only one of it ("home"): a new fact takes the old one's place."""
    importance: float = 0.5
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was learnt from an exchange, to be written in one transaction."""

    exchange: Exchange
    daily: Daily | None
    facts: tuple[Fact, ...] = ()
    is_range: bool = True
    """Whether the range of turns is done with it; False if a person asked for one thing to be kept."""
    refused: tuple[str, ...] = field(default=(), compare=False)
    """The reason of each refused proposal, in a word (`guard.Doubt`)."""


class Deed(StrEnum):
    """What was done with a fact."""

    ADDED = "added"
    REFINED = "refined"
    SUPERSEDED = "superseded"
    KNOWN = "known"
    UNFOUNDED = "unfounded"
    """The person never said it; it was not kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """What was done with one fact, and the entry that holds it now; None if it was not kept."""

    deed: Deed
    entry: int | None


@dataclass(frozen=True, slots=True)
class LearnOutcome:
    """What writing a lesson did."""

    done: bool
    """False if the range, or a part of it, was learnt before: nothing was written."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """An entry as its person may see it, with its evidence."""

    id: int
    person: str
    kind: Kind
    text: str
    created: datetime
    happened: datetime
    direct: bool
    session: str
    first: int
    last: int
    importance: float
    evidence: tuple[Evidence, ...] = ()
    superseded_at: datetime | None = None
    superseded_by: int | None = None
    """The entry that superseded it; None also if that one was forgotten."""
    replaced: tuple[int, ...] = ()
    """The entries that it superseded."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """An entry that was recalled for a question, cut to the allowed length."""

    id: int
    kind: Kind
    text: str
    happened: datetime
    score: float
    """From 0 up; comparable within one answer only."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """How much may be recalled for one reply, some 1,000 tokens of English at most; the defaults of `[memory]`."""

    entries: int = 4
    entry_chars: int = 800
    total_chars: int = 4000


@dataclass(frozen=True, slots=True)
class Erased:
    """What the erasure of a person removed, and what a search afterwards still found."""

    entries: int
    evidence: int
    remaining: tuple[str, ...] = ()
    """Where something of the person's is left, in words; empty if nothing is."""
    elsewhere: int = 0
    """How many of the removed texts other people said word for word, too: those are theirs, and stay."""

"""The values of memory: what was said, what is learnt from it, and what comes back."""

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
"""As much as one entry may be when it is recalled; a longer text is no fact."""

MOST_EVIDENCE = 20
"""So many places where a fact was said are kept; saying it daily makes it no truer."""


class Kind(StrEnum):
    """What an entry is: something that happened, or something that lasts."""

    DAILY = "daily"
    CORE = "core"


@dataclass(frozen=True, slots=True)
class Who:
    """Who asks, and where: every question to the store carries it."""

    senders: frozenset[str]
    """All ids (CHANNEL:SENDER) of one person; whatever others said is out of reach."""
    direct: bool
    """Whether nobody else reads along. What was learnt in private is out of reach where others do."""


@dataclass(frozen=True, slots=True)
class Words:
    """One message of the person's, as it was written."""

    seq: int
    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Exchange:
    """Some turns of one person in one session: what a memory is made from."""

    session: str
    """The session's key, as text."""
    first: int
    last: int
    """The range of seqs that it stands for, both included."""
    person: str
    """The sender's id, CHANNEL:SENDER."""
    name: str
    direct: bool
    said: tuple[Words, ...]
    """The person's own words: facts are learnt from these alone."""
    began: str = ""
    """When the session's file was begun, as its header has it: in another one the seqs are those of other messages."""
    answered: str = ""
    """The assistant's words; they explain what was said, and nothing is learnt from them."""
    trace: str = ""
    """The id under which the log tells its way."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """The words on which a fact stands."""

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
    """What of the person it tells, where one alone can be true ("home"): a new one takes the old one's place."""
    importance: float = 0.5
    """From 0 to 1."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What was made of an exchange, to be written in one transaction."""

    exchange: Exchange
    daily: Daily | None
    facts: tuple[Fact, ...] = ()
    is_range: bool = True
    """False where somebody asked for one thing to be kept: no turns are done with that."""
    refused: tuple[str, ...] = field(default=(), compare=False)
    """Why each proposal that was not taken up was not, in a word (`guard.Doubt`)."""


class Deed(StrEnum):
    """What became of a fact."""

    ADDED = "added"
    REFINED = "refined"
    SUPERSEDED = "superseded"
    KNOWN = "known"
    UNFOUNDED = "unfounded"
    """The person never said what it rests on; it was not kept."""


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one fact, and the entry that holds it now."""

    deed: Deed
    entry: int | None


@dataclass(frozen=True, slots=True)
class LearnOutcome:
    """What became of an exchange."""

    done: bool
    """False where the range, or a part of it, was learnt before: nothing was written."""
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Memory:
    """An entry as its person may see it, with the words on which it stands."""

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
    """The entry that took its place; None too where that one was forgotten."""
    replaced: tuple[int, ...] = ()
    """The entries whose place it took."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """An entry that answers a question, cut to the length that was asked for."""

    id: int
    kind: Kind
    text: str
    happened: datetime
    score: float
    """From 0 up; comparable within one answer only."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """How much may be recalled: some 1,000 tokens of English at most, which each prompt carries."""

    entries: int = 4
    entry_chars: int = 800
    total_chars: int = 4000


@dataclass(frozen=True, slots=True)
class Erased:
    """What the erasure of a person took, and what a search afterwards still found."""

    entries: int
    evidence: int
    remaining: tuple[str, ...] = ()
    """Where something of the person's is left, in words; empty where nothing is."""
    elsewhere: int = 0
    """So many of the removed texts stand word for word in what other people said: that is theirs, and stays."""

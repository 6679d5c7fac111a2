"""This module compares a new fact with a person's known facts: it is new, a duplicate, a refinement, or a replacement.

No model is asked. Two facts are the same if the words of one are all in the other; synonyms such as liking, loving and
enjoying count as one word, and words for the person as none. The new fact supersedes an old one that tells the same
with another number, denied, as past, as come true, or the other way round. Facts that differ by a name on both sides
are two facts, and so are facts about two people or two years.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memory.model import Deed
from memory.others import named_relations
from memory.text.words import STOP_WORDS, index_text, stems

__all__ = ["Known", "Verdict", "compare", "one_of_class"]

SAME_SHARE = 0.75
"""The least share of common words (Jaccard) at which two facts that each have words of their own are the same."""

LEAST_SHARE = 0.3
"""Below it, a longer fact with all words of a short one is another fact ("has a dog", "walks the dog at six")."""

HALF = 0.5
"""Below this share of common words, a "not" may belong to another part of the fact."""

_FILLERS = """
    user person human speaker individual they them theirs someone name call currently now really mainly usually often
    hobby thing fact also prefer favourite favorite big fan keen fond very enthusiast passionate interest own kind lot
    s is are inc never longer cannot without anymore stop quit give up
"""
_SAME = (
    ("like", "love", "enjoy", "adore", "appreciate", "fond", "keen", "prefer"),
    ("dislike", "hate", "detest", "loathe", "disliking"),
    ("work", "job", "employ", "employee", "employed", "profession", "occupation", "working"),
    ("live", "reside", "residing", "resident", "based", "home", "living"),
    ("own", "have", "possess", "has"),
    ("wife", "husband", "spouse", "partner", "married"),
    ("mother", "mom", "mum"),
    ("father", "dad"),
    ("kid", "child"),
    ("vegetarian", "veggie"),
    ("bike", "bicycle", "cycling"),
    ("car", "automobile"),
    ("birthday", "born"),
)
_CLASS = {stems(word)[0]: stems(group[0])[0] for group in _SAME for word in group}
_LIKES = _CLASS["like"]
_DISLIKES = _CLASS[stems("dislike")[0]]
_EMPTY = frozenset(_CLASS.get(stem, stem) for word in {*_FILLERS.split(), *STOP_WORDS} for stem in stems(word)) | {
    _LIKES,
    "have",
}
_NOT = re.compile(
    r"\b(no|not|never|no longer|cannot|without|stopped|quit|gave up|\w+n['’]t|used to|former|formerly|previously"
    r"|nicht|kein\w*|nie|niemals|ohne|früher|nunca|tampoco|ne|pas|jamais|sans|não|sem|niet|geen|nooit|zonder"
    r"|не|нет|никогда|без|раньше)\b|\bn['’](?=[aeiouhéè])|不|没|ない|ません|안 |않|못"
    r"|^(?:the )?(?:user |person |they |he |she )?(?:lived|worked|owned|had|was (?!born))(?!.*\bsince\b)",
    re.IGNORECASE,
)
"""Words that say that something is not so, or no longer."""

_MEANT = re.compile(
    r"\b(?:wants?|wishes|hopes?|plans?|planning|intends?|considers?|considering|dreams? of|would like"
    r"|thinking (?:of|about)|looking for|will|going to)\b",
    re.IGNORECASE,
)
"""Words that say that something is planned or wished."""

_YEAR = re.compile(r"(?:19|20)\d\d")
_ONE_YEAR = re.compile(r"\b(?:since|born|birthday)\b", re.IGNORECASE)
"""Words with which only one year can be true."""

_SLOT_WORDS = frozenset(
    _CLASS.get(stem, stem)
    for word in ("home", "hometown", "residence", "city", "job", "company", "employer", "age", "birthday", "timezone")
    for stem in stems(word)
)
"""Words that may begin a fact about the person themselves ("employer is Acme")."""

_SUBJECT = re.compile(
    r"^([^\W\d_]\w+)(?:['’]s\b|\s+(?:is|was|has|are|likes|loves|hates|lives|works|plays|owns|ist|hat|mag|wohnt|arbeitet"
    r"|es|vive|tiene|est|habite)\b)"
)
_PIVOT = re.compile(r"\b(?:over|than|instead of|rather than)\b", re.I)
_NUMBER_WORDS = "zero one two three four five six seven eight nine ten eleven twelve"
_NUMBERS = {word: str(number) for number, word in enumerate(_NUMBER_WORDS.split())}


@dataclass(frozen=True, slots=True)
class Known:
    """A known fact, with what is compared of it."""

    id: int
    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done with a new fact, and which known fact it concerns."""

    deed: Deed
    known: int | None = None


@dataclass(frozen=True, slots=True)
class _Told:
    """A fact, split into what is compared."""

    words: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]
    denied: bool
    meant: bool
    whose: frozenset[str]
    """Whom of the person's own people it is about: their mother, their boss."""
    subject: frozenset[str]
    """The word that it begins with, if that is whom or what it is about."""
    is_of_one_year: bool
    sides: tuple[frozenset[str], ...]
    """The words before and behind "over", "than" ...; empty if there is no such word."""


def one_of_class(stem: str) -> str:
    """Return the stem that stands for a stem and its synonyms."""
    return _CLASS.get(stem, stem)


def compare(text: str, about: str, known: Sequence[Known]) -> Verdict:
    """Decide what a new fact does to `known`: the facts in force of the same person and audience."""
    same = [old.id for old in known if old.text.split() == text.split()]
    if same:
        return Verdict(Deed.KNOWN, same[0])
    new = _take_apart(text)
    told = [(_take_apart(old.text), old) for old in known]
    verdicts = [(_judge(new, apart), old) for apart, old in told]
    for deed in (Deed.KNOWN, Deed.SUPERSEDED, Deed.REFINED):
        for verdict, old in verdicts:
            if verdict is deed:
                return Verdict(deed, old.id)
    fills = bool(about) and not (new.denied or new.meant or _is_of_another(new))
    same_slot = [
        old.id
        for apart, old in told
        if fills and old.about.casefold() == about.casefold() and not _is_of_another(apart)
    ]
    return Verdict(Deed.SUPERSEDED, same_slot[-1]) if same_slot else Verdict(Deed.ADDED)


def _judge(new: _Told, old: _Told) -> Deed:
    if not new.words or not old.words or _are_of_two(new, old):
        return Deed.ADDED
    more, less = new.words - old.words, old.words - new.words
    if more and less and not _are_small(new, old, more | less):
        return Deed.ADDED
    share = len(new.words & old.words) / len(new.words | old.words)
    if more and share < LEAST_SHARE:
        return Deed.ADDED
    if new.meant != old.meant:
        return Deed.SUPERSEDED if old.meant and share >= HALF else Deed.ADDED
    if (new.denied != old.denied and share >= HALF) or _other_number(new, old) or _turned_round(new, old):
        return Deed.SUPERSEDED
    if new.numbers - old.numbers or (more and not less):
        return Deed.REFINED
    return Deed.KNOWN


def _are_small(new: _Told, old: _Told, differing: Iterable[str]) -> bool:
    """Tell whether two facts differ by few words, none of them a name."""
    share = len(new.words & old.words) / len(new.words | old.words)
    return share >= SAME_SHARE and not (new.names | old.names).intersection(differing)


def _is_of_another(told: _Told) -> bool:
    """Tell whether a fact is about somebody else: it must not replace one about the person ("home")."""
    return bool(told.whose or told.subject - _SLOT_WORDS)


def _are_of_two(new: _Told, old: _Told) -> bool:
    """Tell whether two facts are about two people, or about two years."""
    if new.whose != old.whose or new.subject - old.words or old.subject - new.words:
        return True
    numbers = new.numbers ^ old.numbers
    are_years = bool(new.numbers - old.numbers and old.numbers - new.numbers) and all(map(_YEAR.fullmatch, numbers))
    return are_years and not (new.is_of_one_year or old.is_of_one_year)


def _other_number(new: _Told, old: _Told) -> bool:
    return bool(new.numbers and old.numbers and not new.numbers & old.numbers)


def _turned_round(new: _Told, old: _Told) -> bool:
    if len(new.sides) != 2 or len(old.sides) != 2:
        return False
    return bool(new.sides[0] & old.sides[1] and new.sides[1] & old.sides[0])


def _take_apart(text: str) -> _Told:
    words = frozenset(_subjects(text))
    denied = bool(_NOT.search(text)) != (_DISLIKES in words)
    numbers = frozenset(word for word in words if word.isdecimal())
    names = frozenset(stem for word in re.findall(r"(?<!^)(?<![.!?] )\b[A-Z]\w+", text) for stem in stems(word))
    sides = tuple(frozenset(_subjects(side)) for side in _PIVOT.split(text))
    begins = _SUBJECT.match(text)
    return _Told(
        words=words - numbers - {_DISLIKES},
        numbers=numbers,
        names=names,
        denied=denied,
        meant=bool(_MEANT.search(text)),
        whose=frozenset(one_of_class(stem) for word in named_relations(text) for stem in stems(word)),
        subject=frozenset(_subjects(begins[1])) - {_DISLIKES} if begins else frozenset(),
        is_of_one_year=bool(_ONE_YEAR.search(text)),
        sides=sides if len(sides) == 2 else (),
    )


def _subjects(text: str) -> list[str]:
    plain = re.sub(r"\b(no longer|stopped|quit|gave up)\b|n['’]t\b", " not ", text, flags=re.I)
    return [
        _NUMBERS.get(word, _CLASS.get(word, word))
        for word in index_text(plain).split()
        if _CLASS.get(word, word) not in _EMPTY
    ]

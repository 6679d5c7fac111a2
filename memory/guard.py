"""This module checks a proposed fact against the person's own words: what they never said is not kept.

A fact needs a quote that the person wrote. Its names and numbers, its claims (living, working, being allergic ...) and
most of its subjects must occur where the person told something; questions do not count. Neither do the assistant's
words, quoted lines and what was recalled: else memory would learn from itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from memory.asserting import is_over, is_wish, states_a_wish_as_true, states_the_past_as_present
from memory.carrying import (
    Told,
    is_carried,
    is_name_carried,
    names_of,
    numbers_of,
    take_apart,
    take_apart_telling,
    units_of,
)
from memory.claims import ALLERGY, CLAIMS, is_denied
from memory.marks import own_words
from memory.model import MOST_FACT_CHARS, Evidence, Exchange, Fact
from memory.others import is_about_another
from memory.own import own_messages
from memory.quotes import MOST_QUOTE_CHARS, find_quote, sentences

__all__ = ["LEAST_SHARE", "MOST_FACT_CHARS", "Doubt", "Said", "best_quote", "ground", "own_messages", "read_said"]

LEAST_SHARE = 0.6
"""The share of a fact's subjects that the person must have said. Measured on the tests' cases: see
docs/notes/memory-measurements.md."""

_CLAUSE = re.compile(
    r"[.!?;,\n。！？；，、]|\b(?:but|aber|pero|mais(?! (?:em|de|na|no|nas|nos|com)\b)"
    r"|mas|но|maar|although|because|so)\b|但",
    re.IGNORECASE,
)


_NO_ALLERGY = re.compile(
    r"(?:\b(?:no|not|never|nicht|keine?|ne|pas|non|não|niet|geen|не|нет)|n['’]t)\s+(?:[\w'’]+\s+){0,2}?(?:aller[gj]"
    r"|alérg|intoleran"
    r"|аллерги)|\bne suis pas aller|(?:不|没有?)\S{0,2}过敏|アレルギー(?:は|が)?(?:ない|ありません)|알레르기(?:가)? 없",
    re.IGNORECASE,
)


class Doubt(StrEnum):
    """The reason why a fact is not kept."""

    QUOTE = "quote"
    """The person did not write the quote, or no quote was found."""
    NAME = "name"
    NUMBER = "number"
    CLAIM = "claim"
    """It claims that they live, work, are allergic ...; they did not say so."""
    SHARE = "share"
    """They said too few of its subjects."""
    DENIAL = "denial"
    """They said the opposite."""
    WISH = "wish"
    """They only wish or plan it."""
    OVER = "over"
    """It is over."""
    OTHER = "other"
    """They said it of somebody else."""
    EMPTY = "empty"
    """It says nothing that lasts."""
    ASSISTANT = "assistant"
    SECRET = "secret"  # noqa: S105 - a reason, no password
    LONG = "long"


@dataclass(frozen=True, slots=True)
class Said:
    """What a person said in an exchange, read once for all of its facts."""

    exchange: Exchange
    own: Mapping[int, str]
    """The person's own part of each message, by seq."""
    told: Told
    """What they told in those, without questions and orders."""
    clauses: tuple[tuple[Told, bool], ...]
    """The clauses of `told`, and whether each denies something."""


def read_said(exchange: Exchange) -> Said:
    """Return what the person said in an exchange, split for comparison."""
    own = own_messages(exchange)
    told = take_apart_telling(own.values())
    clauses = (clause for clause in _CLAUSE.split(told.text) if clause and clause.strip())
    return Said(exchange, own, told, tuple((take_apart(clause), is_denied(clause)) for clause in clauses))


def ground(said: Said, fact: Fact, *, takes_messages: bool) -> Fact | Doubt:
    """Return the fact with the evidence that holds, or the reason why it is not kept.

    `takes_messages`: a fact that is word for word one message of the person's is taken, whatever it says.
    """
    text = " ".join(own_words(fact.text).split())[:MOST_FACT_CHARS].rstrip()
    if not text:
        return Doubt.EMPTY
    held = [found for found in (_checked(said, given) for given in fact.evidence) if found is not None]
    if not held:
        return Doubt.QUOTE
    whole = (" ".join(message.split())[:MOST_FACT_CHARS].rstrip() for message in said.own.values())
    if not (takes_messages and text in whole):
        doubt = _doubt(said, text, " ".join(given.quote for given in held))
        if doubt is not None:
            return doubt
    return replace(fact, text=text, evidence=tuple(held))


def best_quote(said: Said, text: str) -> Evidence | None:
    """Return the sentence of the person's that shares most words with a fact, the first of equals; None without one."""
    text = _without_subject(text, said.exchange.name)
    wanted, numbers = {*units_of(text)}, numbers_of(text)
    best: tuple[int, Evidence] | None = None
    for seq, message in said.own.items():
        for sentence in sentences(message):
            apart = take_apart_telling([sentence])
            count = sum(is_carried(unit, apart) for unit in wanted) + len(numbers & apart.numbers)
            if count and (best is None or count > best[0]):
                found = find_quote(said.exchange, {seq: message}, sentence)
                best = (count, found) if found else best
    return best[1] if best else None


def _checked(said: Said, given: Evidence) -> Evidence | None:
    if given.session != said.exchange.session or given.seq not in said.own:
        return None
    quote = " ".join(own_words(given.quote).split())[:MOST_QUOTE_CHARS]
    is_theirs = bool(quote) and quote.casefold() in " ".join(said.own[given.seq].split()).casefold()
    return replace(given, quote=quote) if is_theirs else None


def _doubt(said: Said, text: str, quoted: str) -> Doubt | None:
    """Return the reason against a fact, if there is one."""
    told, text = said.told, _without_subject(text, said.exchange.name)
    years = {str(words.at.year + more) for words in said.exchange.said for more in (-1, 0, 1)}
    if numbers_of(text) - told.numbers - years:
        return Doubt.NUMBER
    if not all(is_name_carried(name, told) for name in names_of(text)):
        return Doubt.NAME
    if any(claim.told.search(text) and not claim.said.search(told.text) for claim in CLAIMS):
        return Doubt.CLAIM
    units = units_of(text)
    if not _is_share_carried(units, numbers_of(text), told, take_apart(quoted)):
        return Doubt.SHARE
    best = _best_clauses(units, numbers_of(text), said.clauses)
    return _doubt_of_sense(text, best, said.exchange.name) if best else None


def _doubt_of_sense(text: str, best: Sequence[tuple[Told, bool]], name: str) -> Doubt | None:
    """Return the reason against a fact that lies in the sense of its best clauses, if there is one."""
    clauses = [apart.text for apart, _ in best]
    if all(is_about_another(clause, text, name) for clause in clauses):
        return Doubt.OTHER
    if states_the_past_as_present(text) and all(map(is_over, clauses)):
        return Doubt.OVER
    if states_a_wish_as_true(text) and all(map(is_wish, clauses)):
        return Doubt.WISH
    return Doubt.DENIAL if _is_contrary(text, best) else None


def _without_subject(text: str, name: str) -> str:
    """Return a fact without the person's name at its beginning."""
    return re.sub(rf"^{re.escape(name)}(?:['’]s)?\b", "", text).lstrip() if name else text


def _is_share_carried(units: list[str], numbers: frozenset[str], told: Told, quote: Told) -> bool:
    """Tell whether the person said enough of the subjects, one in the quote; without subjects, a number there."""
    if not units:
        return bool(numbers & quote.numbers)
    is_in_quote = any(is_carried(unit, quote) for unit in units)
    return is_in_quote and sum(is_carried(unit, told) for unit in units) >= LEAST_SHARE * len(units)


def _best_clauses(
    units: Sequence[str], numbers: frozenset[str], clauses: Sequence[tuple[Told, bool]]
) -> list[tuple[Told, bool]]:
    """Return the clauses that share most subjects with a fact; for a fact without subjects, those with its numbers.

    All are returned if none shares any: a word at which clauses are split is a subject too ("Mais" is corn as well).
    """
    counts = [
        sum(is_carried(unit, apart) for unit in units) if units else len(numbers & apart.numbers)
        for apart, _ in clauses
    ]
    most = max(counts, default=0)
    return [clause for clause, count in zip(clauses, counts, strict=True) if count == most]


def _is_contrary(text: str, best: Sequence[tuple[Told, bool]]) -> bool:
    """Tell whether all of the clauses deny what the fact states, or state what it denies.

    People tell of an allergy by what they do not eat: for those a "not" counts only right before the word.
    """
    is_not = is_denied(text)
    if ALLERGY.told.search(text):
        return not is_not and all(_NO_ALLERGY.search(apart.text) for apart, _ in best)
    return bool(best) and not any(denied == is_not for _, denied in best)

"""Decides whether a person's own words carry a fact: what they never said is not kept, whoever proposes it.

A fact stands on a quote that the person wrote. Its names and numbers, what it claims (living, working, being allergic
...) and most of its subjects must occur where the person told something; a question tells nothing. The assistant's
words, quoted lines and what was recalled carry nothing: else memory would learn from itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from memory.claims import ALLERGY, CLAIMS, FILLERS, LOOSE, SMALL_CHARACTERS, is_denied, is_telling
from memory.comparing import one_of_class
from memory.marks import own_words
from memory.model import Evidence, Exchange, Fact
from memory.quotes import MOST_QUOTE_CHARS, find_quote, sentences
from memory.text.words import STOP_WORDS, stems

__all__ = ["LEAST_SHARE", "MOST_FACT_CHARS", "Doubt", "best_quote", "ground", "own_messages"]

MOST_FACT_CHARS = 800
"""As much as one entry may be when it is recalled; a longer text is no fact."""

LEAST_SHARE = 0.6
"""Of a fact's subjects, so many must be the person's. Measured on the cases of the tests: see docs/memory.md."""

_NUMBER_WORDS = """
two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 fourteen:14 fifteen:15
sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 thirty:30 forty:40 fifty:50 sixty:60 seventy:70 eighty:80
ninety:90 hundred:100 zwei:2 drei:3 vier:4 funf:5 sechs:6 sieben:7 acht:8 neun:9 zehn:10 zwolf:12 dos:2 tres:3 cuatro:4
cinco:5 seis:6 siete:7 ocho:8 nueve:9 diez:10 deux:2 trois:3 quatre:4 cinq:5 sept:7 huit:8 neuf:9 dix:10 due:2 tre:3
quattro:4 cinque:5 sei:6 sette:7 otto:8 dois:2 duas:2 два:2 две:2 двое:2 три:3 трое:3 четыре:4 пять:5 шесть:6 семь:7
восемь:8 девять:9 десять:10 twee:2 drie:3 vijf:5
"""
_NUMBERS = dict(pair.split(":") for pair in _NUMBER_WORDS.split())
_HAN_NUMBERS = {"二": "2", "两": "2", "兩": "2", "三": "3", "四": "4", "五": "5", "六": "6", "七": "7", "八": "8", "九": "9", "十": "10"}
_HAN_COUNT = re.compile(r"(十[一二三四五六七八九]|[二两兩三四五六七八九十])(?=[月岁歲歳个個只隻匹人年日天台辆本名口位])")
_GROUPED = re.compile(r"(?<=\d)[.,'’ ](?=\d{3}(?!\d))")

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(rf"[{_HAN}]+|[\u3041-\u309f]+|[\u30a1-\u30ff]+|[\uac00-\ud7a3]+|[^\W_{_HAN}\u3041-\u30ff\uac00-\ud7a3]+")
_KATAKANA = re.compile("[\u30a1-\u30ff]{2,}")
_CAPITAL = re.compile(r"(?<![^\W_])[^\W\d_]\w*(?:['’]\w+)?")
_STARTS_SUBJECT = re.compile(r"(?:['’]s\b|\s+(?:is|was|has|are|likes|lives|works|ist|hat|es|est|è|é)\b)")
_CLAUSE = re.compile(r"[.!?;,\n。！？；，、]|\b(?:but|aber|pero|mais|mas|но|maar|although|because)\b|但", re.IGNORECASE)
_NO_NAMES = frozenset({"user", "person", "he", "she", "they", "i", "nutzer", "benutzer", "beruf", "name", "wohnort", "hobby"})
_LEAST_PREFIX = 4
_FORMS = {"isst": "ess", "liest": "les", "spricht": "sprech", "nimmt": "nehm", "sieht": "seh", "trifft": "treff", "hilft": "helf"}
"""German verbs whose third person another prefix has than the first."""


class Doubt(StrEnum):
    """Why a fact is not kept."""

    QUOTE = "quote"
    """The person did not write the words on which it is to stand."""
    NAME = "name"
    NUMBER = "number"
    CLAIM = "claim"
    """It says that they live, work, are allergic ...; they did not."""
    SHARE = "share"
    """Too few of its subjects are theirs."""
    DENIAL = "denial"
    """They said the opposite."""
    EMPTY = "empty"
    """It says nothing lasting."""
    ASSISTANT = "assistant"
    SECRET = "secret"  # noqa: S105 - a reason, no password
    LONG = "long"


@dataclass(frozen=True, slots=True)
class _Told:
    """What the person told, taken apart once."""

    text: str
    words: frozenset[str]
    by_prefix: Mapping[str, tuple[str, ...]]
    pairs: frozenset[str]
    numbers: frozenset[str]


def own_messages(exchange: Exchange) -> dict[int, str]:
    """Return what of each message is the person's, by seq; messages without a word of theirs are left out."""
    own: dict[int, str] = {}
    for words in exchange.said:
        text = own_words(words.text)
        if text:
            own[words.seq] = f"{own[words.seq]}\n{text}" if words.seq in own else text
    return own


def ground(exchange: Exchange, fact: Fact) -> Fact | Doubt:
    """Return the fact with the evidence that holds, or why it is not kept.

    What is word for word one message of the person's is theirs, whatever it says.
    """
    text = " ".join(own_words(fact.text).split())[:MOST_FACT_CHARS].rstrip()
    if not text:
        return Doubt.EMPTY
    own = own_messages(exchange)
    held = [found for found in (_checked(exchange, own, given) for given in fact.evidence) if found is not None]
    if not held:
        return Doubt.QUOTE
    if not any(" ".join(message.split())[:MOST_FACT_CHARS].rstrip() == text for message in own.values()):
        quoted = " ".join(given.quote for given in held)
        doubt = _doubt(exchange, text, _take_apart(own.values()), quoted)
        if doubt is not None:
            return doubt
    return replace(fact, text=text, evidence=tuple(held))


def best_quote(exchange: Exchange, text: str) -> Evidence | None:
    """Return the sentence of the person's that has most of the words of a fact, the first of equals; None without one."""
    text = _without_subject(text, exchange.name)
    wanted, numbers = {*_units(text)}, _numbers(text)
    best: tuple[int, Evidence] | None = None
    for seq, message in own_messages(exchange).items():
        for sentence in sentences(message):
            apart = _take_apart([sentence])
            count = sum(_is_carried(unit, apart) for unit in wanted) + len(numbers & apart.numbers)
            if count and (best is None or count > best[0]):
                found = find_quote(exchange, {seq: message}, sentence)
                best = (count, found) if found else best
    return best[1] if best else None


def _checked(exchange: Exchange, own: Mapping[int, str], given: Evidence) -> Evidence | None:
    if given.session != exchange.session or given.seq not in own:
        return None
    quote = " ".join(own_words(given.quote).split())
    said = " ".join(own[given.seq].split())
    is_theirs = bool(quote) and quote.casefold() in said.casefold()
    return replace(given, quote=quote[:MOST_QUOTE_CHARS]) if is_theirs else None


def _doubt(exchange: Exchange, text: str, told: _Told, quoted: str) -> Doubt | None:
    """Return what speaks against a fact."""
    text = _without_subject(text, exchange.name)
    years = {str(words.at.year + more) for words in exchange.said for more in (-1, 0, 1)}
    if _numbers(text) - told.numbers - years:
        return Doubt.NUMBER
    if not all(_is_name_carried(name, told) for name in _names(text)):
        return Doubt.NAME
    if any(claim.told.search(text) and not claim.said.search(told.text) for claim in CLAIMS):
        return Doubt.CLAIM
    units = _units(text)
    if not _is_share_carried(units, _numbers(text), told, _take_apart_all(quoted)):
        return Doubt.SHARE
    return Doubt.DENIAL if _is_contrary(text, units, told) else None


def _without_subject(text: str, name: str) -> str:
    """Return a fact without the person's name, where it begins with it."""
    return re.sub(rf"^{re.escape(name)}(?:['’]s)?\b", "", text).lstrip() if name else text


def _is_share_carried(units: list[str], numbers: frozenset[str], told: _Told, quote: _Told) -> bool:
    """Tell whether enough of the subjects are theirs, and one stands in the quote; of a bare number, the number."""
    if not units:
        return bool(numbers & quote.numbers)
    is_in_quote = any(_is_carried(unit, quote) for unit in units)
    return is_in_quote and sum(_is_carried(unit, told) for unit in units) >= LEAST_SHARE * len(units)


def _is_contrary(text: str, units: Iterable[str], told: _Told) -> bool:
    """Tell whether the clauses that speak of the same all say it is not so, or the other way round.

    Of an allergy people tell by what they do not eat.
    """
    if ALLERGY.told.search(text):
        return False
    clauses = [clause for clause in _CLAUSE.split(told.text) if clause and clause.strip()]
    denied = [is_denied(clause) for clause in clauses]
    if is_denied(text):
        return not any(denied)
    counts = []
    for clause in clauses:
        apart = _take_apart_all(clause)
        counts.append(sum(_is_carried(unit, apart) for unit in units))
    most = max(counts, default=0)
    return bool(most) and all(no for no, count in zip(denied, counts, strict=True) if count == most)


def _take_apart(messages: Iterable[str]) -> _Told:
    telling = (sentence for message in messages for sentence in sentences(message) if is_telling(sentence))
    return _take_apart_all("\n".join(" ".join(sentence.split()) for sentence in telling))


def _take_apart_all(text: str) -> _Told:
    words = frozenset(_compared(text))
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for word in words:
        by_prefix[word[:_LEAST_PREFIX]].append(word)
    pairs = frozenset("".join(pair) for run in _UNIT.findall(_plain(text)) for pair in pairwise(run) if not run.isascii())
    return _Told(text, words, {start: tuple(found) for start, found in by_prefix.items()}, pairs, _numbers(text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _compared(text: str) -> Iterator[str]:
    """Yield the words as they are compared: stems, one for all of a class; characters of scripts without blanks."""
    for word in stems(_plain(text)):
        yield one_of_class(_FORMS.get(word, word))


def _units(text: str) -> list[str]:
    """Return the subjects of a fact: words without those of grammar and claims, pairs of characters of CJK."""
    plain = _without_claims(_plain(text))
    units: list[str] = []
    kana: list[str] = []
    for run in _UNIT.findall(plain):
        if "\u3041" <= run[0] <= "\u309f":
            kana += _pairs(run)
        elif run[0] >= "\u3041" and not _KATAKANA.fullmatch(run) and not run.isascii():
            units += [pair for part in _without_small(run) for pair in _pairs(part)]
        elif run not in STOP_WORDS and not run.isdecimal() and run not in _NUMBERS:
            units += [word for word in _compared(run) if word not in FILLERS] if not _KATAKANA.fullmatch(run) else [run]
    return list(dict.fromkeys(units or kana))


def _without_claims(text: str) -> str:
    text = LOOSE.sub(" ", text)
    for claim in CLAIMS:
        text = claim.told.sub(" ", text)
    return text


def _pairs(run: str) -> list[str]:
    return ["".join(pair) for pair in pairwise(run)] or [run]


def _without_small(run: str) -> list[str]:
    return "".join(" " if character in SMALL_CHARACTERS else character for character in run).split()


def _is_carried(unit: str, told: _Told) -> bool:
    """Tell whether a subject is among the words, in a form that an ending may set apart."""
    if unit in told.words or unit in told.pairs:
        return True
    if _KATAKANA.fullmatch(unit):
        return unit in _plain(told.text)
    near = told.by_prefix.get(unit[:_LEAST_PREFIX], ()) if len(unit) >= _LEAST_PREFIX else ()
    return any(_common(unit, word) >= max(_LEAST_PREFIX, 0.7 * max(len(unit), len(word))) for word in near)


def _is_name_carried(name: str, told: _Told) -> bool:
    if name in told.words or (not name.isascii() and name in _plain(told.text)):
        return True
    near = told.by_prefix.get(name[:_LEAST_PREFIX], ()) if len(name) >= _LEAST_PREFIX else ()
    return any(_is_inflected(name, word) for word in near)


def _is_inflected(name: str, word: str) -> bool:
    """Tell whether they are one name: an ending more, or in scripts that change endings another one."""
    short, common = min(len(name), len(word)), _common(name, word)
    if abs(len(name) - len(word)) > 2:
        return False
    return common == short or (not name.isascii() and common >= short - 1)


def _common(one: str, other: str) -> int:
    count = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        count += 1
    return count


def _names(text: str) -> Iterator[str]:
    """Yield the names in a fact: what begins with a capital within a sentence, or as its subject; runs of katakana."""
    for found in _CAPITAL.finditer(text):
        word = found.group()
        if not word[0].isupper() or word.lower() in _NO_NAMES or LOOSE.fullmatch(word):
            continue
        if any(claim.told.fullmatch(word) for claim in CLAIMS) or word.lower() in STOP_WORDS:
            continue
        starts = not text[: found.start()].strip(" \"'“") or text[: found.start()].rstrip()[-1:] in ".!?:"
        if not starts or word[1:].upper() == word[1:] != "" or _STARTS_SUBJECT.match(text, found.end()):
            yield from (one_of_class(stem) for stem in stems(word) if stem not in FILLERS)
    plain = _without_claims(unicodedata.normalize("NFKC", text))
    yield from (found.group() for found in _KATAKANA.finditer(plain))


def _numbers(text: str) -> frozenset[str]:
    """Return the numbers in a text, in digits, however they are written; one is none, since it is an article too."""
    plain = _GROUPED.sub("", unicodedata.normalize("NFKC", text))
    digits = {str(int(number)) for number in re.findall(r"\d{1,30}", plain)}
    letters = (c for c in unicodedata.normalize("NFD", plain.lower()) if not unicodedata.combining(c))
    words = {_NUMBERS[word] for word in re.findall(r"[^\W\d_]+", "".join(letters)) if word in _NUMBERS}
    han = {_han_number(found) for found in _HAN_COUNT.findall(plain)}
    return frozenset(digits | words | han) - {"1"}


def _han_number(text: str) -> str:
    return str(10 + int(_HAN_NUMBERS.get(text[1], "1"))) if len(text) == 2 else _HAN_NUMBERS[text]

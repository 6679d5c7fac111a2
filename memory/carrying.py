"""This module splits facts and people's messages into words, names and numbers, and finds those of a fact in a message.

Words are compared by their stems, with one stem for all synonyms of a class, and by a common beginning, since endings
differ; scripts without spaces (CJK) are compared by pairs of characters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

from memory.asserting import asserted, is_supposed
from memory.claims import CLAIMS, FILLERS, LOOSE, SMALL_CHARACTERS, is_telling
from memory.comparing import one_of_class
from memory.quotes import sentences
from memory.text.words import STOP_WORDS, stems

__all__ = [
    "Told",
    "is_carried",
    "is_name_carried",
    "names_of",
    "numbers_of",
    "take_apart",
    "take_apart_telling",
    "units_of",
]

_NUMBER_WORDS = """
two:2 three:3 four:4 five:5 six:6 seven:7 eight:8 nine:9 ten:10 eleven:11 twelve:12 thirteen:13 fourteen:14 fifteen:15
sixteen:16 seventeen:17 eighteen:18 nineteen:19 twenty:20 thirty:30 forty:40 fifty:50 sixty:60 seventy:70 eighty:80
ninety:90 hundred:100 zwei:2 drei:3 vier:4 funf:5 sechs:6 sieben:7 acht:8 neun:9 zehn:10 zwolf:12 dos:2 tres:3 cuatro:4
cinco:5 seis:6 siete:7 ocho:8 nueve:9 diez:10 deux:2 trois:3 quatre:4 cinq:5 sept:7 huit:8 neuf:9 dix:10 due:2 tre:3
quattro:4 cinque:5 sei:6 sette:7 otto:8 dois:2 duas:2 два:2 две:2 двое:2 три:3 трое:3 четыре:4 пять:5 шесть:6 семь:7
восемь:8 девять:9 десять:10 twee:2 drie:3 vijf:5
"""
_NUMBERS = dict(pair.split(":") for pair in _NUMBER_WORDS.split())
_HAN_NUMBERS = {
    "一": "1",
    "二": "2",
    "两": "2",
    "兩": "2",
    "三": "3",
    "四": "4",
    "五": "5",
    "六": "6",
    "七": "7",
    "八": "8",
    "九": "9",
}
_HAN_COUNT = re.compile(
    r"([二三四五六七八九]?十[一二三四五六七八九]?|[二两兩三四五六七八九])(?=[月岁歲歳个個只隻匹人年日天台辆本名口位])"
)
_GROUPED = re.compile(r"(?<=\d)[.,'’ ](?=\d{3}(?!\d))")

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNIT = re.compile(
    rf"[{_HAN}]+|[\u3041-\u309f]+|[\u30a1-\u30ff]+|[\uac00-\ud7a3]+|[^\W_{_HAN}\u3041-\u30ff\uac00-\ud7a3]+"
)
_KATAKANA = re.compile("[\u30a1-\u30ff]{2,}")
_CAPITAL = re.compile(r"(?<![^\W_])[^\W\d_]\w*(?:['’]\w+)?")
_BEGINS = rf"(?<![^\W\d_{_HAN}\u3041-\u30ff\uac00-\ud7a3])"
"""Not behind a letter, but in scripts without spaces: "Оля" is no part of "Толя"."""
_STARTS_SUBJECT = re.compile(r"\s+(?:is|was|has|are|likes|lives|works|ist|hat|es|est|è|é)\b")
_OWNER_ENDS = ("'s", "’s")
_NO_NAMES = frozenset(
    {"user", "person", "he", "she", "they", "i", "nutzer", "benutzer", "beruf", "name", "wohnort", "hobby"}
)
_LEAST_PREFIX = 4
_FORMS = {
    "isst": "ess",
    "liest": "les",
    "spricht": "sprech",
    "nimmt": "nehm",
    "sieht": "seh",
    "trifft": "treff",
    "hilft": "helf",
}
"""German verbs whose third person begins otherwise than the first."""


@dataclass(frozen=True, slots=True)
class Told:
    """A text, split into what is compared: stems, stems by their first letters, pairs of characters, and numbers."""

    text: str
    words: frozenset[str]
    by_prefix: Mapping[str, tuple[str, ...]]
    pairs: frozenset[str]
    numbers: frozenset[str]


def take_apart_telling(messages: Iterable[str]) -> Told:
    """Split what messages tell about their author; questions, orders, suppositions and others' words are left out."""
    told = (sentence for message in messages for sentence in sentences(asserted(message)))
    telling = (sentence for sentence in told if is_telling(sentence) and not is_supposed(sentence))
    return take_apart("\n".join(" ".join(sentence.split()) for sentence in telling))


def take_apart(text: str) -> Told:
    words = frozenset(_compared(text))
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for word in words:
        by_prefix[word[:_LEAST_PREFIX]].append(word)
    pairs = frozenset(
        "".join(pair) for run in _UNIT.findall(_plain(text)) for pair in pairwise(run) if not run.isascii()
    )
    return Told(text, words, {start: tuple(found) for start, found in by_prefix.items()}, pairs, numbers_of(text))


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()


def _compared(text: str) -> Iterator[str]:
    """Yield the words as they are compared: stems, one for all synonyms of a class; single characters of CJK."""
    for word in stems(_plain(text)):
        yield one_of_class(_FORMS.get(word, word))


def units_of(text: str) -> list[str]:
    """Return the subjects of a fact: its words without those of grammar and of claims; pairs of characters of CJK."""
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


def is_carried(unit: str, told: Told) -> bool:
    """Tell whether a subject occurs in a text, as the same stem or with another ending."""
    if unit in told.words or unit in told.pairs:
        return True
    if _KATAKANA.fullmatch(unit):
        return unit in _plain(told.text)
    near = told.by_prefix.get(unit[:_LEAST_PREFIX], ()) if len(unit) >= _LEAST_PREFIX else ()
    return any(_common(unit, word) >= max(_LEAST_PREFIX, 0.7 * max(len(unit), len(word))) for word in near)


def is_name_carried(name: str, told: Told) -> bool:
    if name in told.words or (not name.isascii() and re.search(rf"{_BEGINS}{re.escape(name)}", _plain(told.text))):
        return True
    near = told.by_prefix.get(name[:_LEAST_PREFIX], ()) if len(name) >= _LEAST_PREFIX else ()
    return any(_is_inflected(name, word) for word in near)


def _is_inflected(name: str, word: str) -> bool:
    """Tell whether a word is the same name with an ending, or, outside of ASCII, with another ending."""
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


def names_of(text: str) -> Iterator[str]:
    """Yield the names in a fact: capitalised words inside a sentence or as its subject, and runs of katakana."""
    for found in _CAPITAL.finditer(text):
        word, is_owner = found.group(), found.group().endswith(_OWNER_ENDS)
        bare = word[:-2].lower() if is_owner else word.lower()
        if not word[0].isupper() or bare in _NO_NAMES or LOOSE.fullmatch(word):
            continue
        if any(claim.told.fullmatch(word) for claim in CLAIMS) or bare in STOP_WORDS:
            continue
        starts = not text[: found.start()].strip(" \"'“") or text[: found.start()].rstrip()[-1:] in ".!?:"
        is_subject = is_owner or _STARTS_SUBJECT.match(text, found.end())
        if not starts or word[1:].upper() == word[1:] != "" or is_subject:
            yield from (one_of_class(stem) for stem in stems(word) if stem not in FILLERS)
    plain = _without_claims(unicodedata.normalize("NFKC", text))
    yield from (found.group() for found in _KATAKANA.finditer(plain))


def numbers_of(text: str) -> frozenset[str]:
    """Return the numbers in a text as digits, also those written as words; 1 is left out: "one" is an article too."""
    plain = _GROUPED.sub("", unicodedata.normalize("NFKC", text))
    digits = {str(int(number)) for number in re.findall(r"\d{1,30}", plain)}
    letters = (c for c in unicodedata.normalize("NFD", plain.lower()) if not unicodedata.combining(c))
    words = {_NUMBERS[word] for word in re.findall(r"[^\W\d_]+", "".join(letters)) if word in _NUMBERS}
    han = {_han_number(found) for found in _HAN_COUNT.findall(plain)}
    return frozenset(digits | words | han) - {"1"}


def _han_number(text: str) -> str:
    tens, ten, units = text.rpartition("十")
    if not ten:
        return _HAN_NUMBERS[text]
    return str(10 * int(_HAN_NUMBERS.get(tens, "1")) + int(_HAN_NUMBERS.get(units, "0")))

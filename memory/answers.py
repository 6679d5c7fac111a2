"""This module parses the JSON that a language model answers to a consolidation request, and never raises.

The JSON may be wrapped in other text, cut off or malformed. Two shapes are read: `{"history_entry", "facts": [{"fact",
"quote", "about", "importance"}]}`, and that with `memory_update` (a text, a list of texts, null) instead of `facts`.
Any other answer proposes nothing.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from memory.marks import own_words, printable

__all__ = ["ANSWER_CHARS", "HISTORY_CHARS", "MOST_FACTS", "Answer", "Proposed", "parse_answer"]

ANSWER_CHARS = 20_000
"""How many characters of an answer are read: some models do not come to an end."""

HISTORY_CHARS = 600
"""The longest history entry that is kept, in characters."""

MOST_FACTS = 10
"""How many proposed facts of one answer are read; one exchange does not have more."""

_FIELD_CHARS = 1_000
_ABOUT_CHARS = 40
_MOST_BEGINNINGS = 40
"""How many braces are tried as the beginning of an object: each try may read the whole answer."""

_MOST_DEPTH = 50
_DEFAULT_IMPORTANCE = 0.5
_NOTHING = frozenset(
    {"", "null", "none", "nil", "n/a", "na", "no", "nothing", "empty", "-", "string", "undefined", "false"}
)
_BULLET = re.compile(r"^\s*(?:[-*+•·–]|\d{1,2}[.)])\s+")
_DROPPED_COMMA = re.compile(r",(?=\s*[}\]])")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class Proposed:
    """A fact that the model proposes, in the model's words."""

    text: str
    quote: str = ""
    """The person's words that the model gives as evidence; "" if it gave none."""
    about: str = ""
    importance: float = _DEFAULT_IMPORTANCE


@dataclass(frozen=True, slots=True)
class Answer:
    """What could be read of a model's answer."""

    history: str
    """What happened, for the diary; "" if the answer has no such entry."""
    facts: tuple[Proposed, ...] = ()


@dataclass(slots=True)
class _Scan:
    """The places where a cut-off object could be closed: behind whole members, with the brackets open there."""

    open: list[str] = field(default_factory=list)
    closings: list[tuple[int, str]] = field(default_factory=list)
    in_string: bool = False
    is_escaped: bool = False


def parse_answer(text: str) -> Answer | None:
    """Return the first object in a text that has a history entry, else the first that proposes facts, else None."""
    best: Answer | None = None
    for found in _objects(printable(text[:ANSWER_CHARS])):
        answer = _read(found)
        if answer is not None and answer.history:
            return answer
        best = best or answer
    return best


def _objects(text: str) -> Iterator[dict[str, object]]:
    place = 0
    for found in islice(re.finditer(r"\{", text), _MOST_BEGINNINGS):
        if found.start() < place:
            continue
        value, end = _decoded(text, found.start())
        if isinstance(value, dict):
            yield value
            yield from (inner for inner in value.values() if isinstance(inner, dict))
            place = end


def _decoded(text: str, start: int) -> tuple[object, int]:
    """Return the JSON value that begins at `start` and where it ends, repaired if needed; None if there is none."""
    try:
        return _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        pass
    for attempt in _mended(text[start:]):
        try:
            return _DECODER.raw_decode(attempt)[0], len(text)
        except (ValueError, RecursionError):
            continue
    return None, start


def _mended(text: str) -> Iterator[str]:
    """Yield repairs of an object that has superfluous commas, or whose end is missing."""
    scan = _Scan()
    for place, character in enumerate(text):
        _step(scan, place, character)
        if len(scan.open) > _MOST_DEPTH:
            return
        if not scan.open and not scan.in_string:
            yield _DROPPED_COMMA.sub("", text[: place + 1])
            return
    text = text[:-1] if scan.is_escaped else text
    whole = text + '"' * scan.in_string + "".join(reversed(scan.open))
    ends = [text[:place] + closing for place, closing in scan.closings[:-4:-1]]
    for attempt in [*ends, whole] if scan.in_string else [whole, *ends]:  # a text that is cut off is the last choice
        yield _DROPPED_COMMA.sub("", attempt)


def _step(scan: _Scan, place: int, character: str) -> None:
    if scan.in_string:
        if scan.is_escaped:
            scan.is_escaped = False
        elif character == "\\":
            scan.is_escaped = True
        elif character == '"':
            scan.in_string = False
    elif character == '"':
        scan.in_string = True
    elif character in "{[":
        scan.open.append("}" if character == "{" else "]")
    elif character in "}]" and scan.open:
        scan.open.pop()
    elif character == ",":
        scan.closings.append((place, "".join(reversed(scan.open))))


def _read(given: dict[str, object]) -> Answer | None:
    named = {key.strip().lower(): value for key, value in given.items()}
    history = _cleaned(_text(named.get("history_entry")))
    facts = [*_proposals(named.get("facts")), *_proposals(named.get("memory_update"))]
    shown = tuple({fact.text: fact for fact in facts}.values())[:MOST_FACTS]
    return Answer(history, shown) if history or shown else None


def _proposals(given: object) -> list[Proposed]:
    match given:
        case str():
            lines = (_BULLET.sub("", line) for line in printable(given).splitlines())
            return [Proposed(text) for line in islice(lines, MOST_FACTS) if (text := _fact_text(line))]
        case dict():
            return _proposal(given) or [one for value in islice(given.values(), MOST_FACTS) for one in _listed(value)]
        case list():
            return [one for item in given[:MOST_FACTS] for one in _listed(item)]
        case _:
            return []


def _listed(item: object) -> list[Proposed]:
    """Return the facts that one item of a list proposes; lists within lists propose none."""
    if isinstance(item, dict):
        return _proposal(item)
    return _proposals(item) if isinstance(item, str) else []


def _proposal(given: dict[str, object]) -> list[Proposed]:
    text = _fact_text(_text(given.get("fact")) or _text(given.get("text")))
    if not text:
        return []
    quote = _cleaned(_text(given.get("quote")))[:_FIELD_CHARS]
    about = _cleaned(_text(given.get("about"))).lower()[:_ABOUT_CHARS]
    return [Proposed(text, quote, "" if about in _NOTHING else about, _importance(given.get("importance")))]


def _fact_text(given: str) -> str:
    text = _cleaned(given).strip(" \"“”'")
    return "" if text.lower().rstrip(".") in _NOTHING else text[:_FIELD_CHARS]


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _cleaned(given: str) -> str:
    """Return a text on one line, without control characters and recall marks; empty if it has no word."""
    text = " ".join(own_words(given).split())
    return text if any(character.isalnum() for character in text) else ""


def _importance(given: object) -> float:
    """Return a number from 0 to 1; 0.5 for what is no number."""
    try:
        number = float(given) if isinstance(given, int | float | str) and not isinstance(given, bool) else math.nan
    except (ValueError, OverflowError):
        return _DEFAULT_IMPORTANCE
    return min(max(number, 0.0), 1.0) if math.isfinite(number) else _DEFAULT_IMPORTANCE

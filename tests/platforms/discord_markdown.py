"""This module parses Markdown as Discord's clients do, as far as parsers modelled on them describe it.

The rules are tried in their order at each place, on what is left of the text: what stands before does not matter but
for the beginning of a line. `read` gives each character that is shown, with the marks that lie on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["Shown", "read", "shown_text"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A character as it is shown; a mark is its kind, for a link with the address."""

    character: str
    marks: frozenset[str]


_BLOCK = re.compile(r"```(?:([a-z0-9_+\-.#]+?)\n)?\n*([^\n][\s\S]*?)\n*```", re.IGNORECASE)
_QUOTE = re.compile(r" *>>> [\s\S]*| *> [^\n]*(?:\n *> [^\n]*)*\n?")
_HEADING = re.compile(r" *#{1,3}[^\S\n]+[^\n]+")
_SMALL = re.compile(r" *-#[^\S\n]+[^\n]+")
_LIST = re.compile(r" *(?:[-*+]|\d+\.)[^\S\n]+[^\n]+")
_ESCAPE = re.compile(r"\\([^0-9A-Za-z\s])")
_ANGLED = re.compile(r"<(https?://[^ >]+)>")
_ADDRESS = re.compile(r"https?://[^\s<]+[^<.,:;\"')\]\s]")
_MENTION = re.compile(r"<(?:@!?|@&|#)\d+>|<a?:\w+:\d+>|<t:-?\d+(?::\w)?>|</[^>]+:\d+>|<id:\w+>|@everyone|@here")
_EMOJI = re.compile(r":[\w+-]+?:")
_LINK = re.compile(r"\[((?:\[[^\]]*\]|[^\[\]]|\](?=[^\[]*\]))*)\]\(\s*<?((?:\([^)]*\)|[^\s\\]|\\.)*?)>?\s*\)")
_EM = re.compile(
    r"_((?:__|\\[\s\S]|[^\\_])+?)_(?!\w)"
    r"|\*(?=\S)((?:\*\*|\\[\s\S]|\s+(?:\\[\s\S]|[^\s*\\]|\*\*)|[^\s*\\])+?)\*(?!\*)"
)
_STRONG = re.compile(r"\*\*((?:\\[\s\S]|[^\\])+?)\*\*(?!\*)")
_UNDER = re.compile(r"__((?:\\[\s\S]|[^\\])+?)__(?!_)")
_STRIKE = re.compile(r"~~([\s\S]+?)~~(?!_)")
_SPOILER = re.compile(r"\|\|([\s\S]+?)\|\|")
_CODE = re.compile(r"(`+)([\s\S]*?[^`])\1(?!`)")


def read(source: str) -> list[Shown]:
    """Return what is shown of a message."""
    return list(_read(source.strip(), frozenset()))


def shown_text(shown: list[Shown]) -> str:
    """Return the characters alone."""
    return "".join(one.character for one in shown)


def _read(source: str, marks: frozenset[str]) -> Iterator[Shown]:
    at, begins_line = 0, True
    while at < len(source):
        taken = (_read_line_start(source[at:], marks) if begins_line else None) or _read_here(source[at:], marks)
        if taken is None:
            yield Shown(source[at], marks)
            taken = source[at], []
        yield from taken[1]
        at += len(taken[0])
        begins_line = taken[0].endswith("\n")


Taken = tuple[str, list[Shown]]


def _read_line_start(left: str, marks: frozenset[str]) -> Taken | None:
    quote = _QUOTE.match(left)
    if quote is not None and "quote" not in marks:
        inner = re.sub(r"(?m)^ *> ?", "", quote[0])
        return quote[0], list(_read(inner, marks | {"quote"}))
    for rule, kind in ((_HEADING, "heading"), (_SMALL, "small"), (_LIST, "list")):
        found = rule.match(left)
        if found is not None:
            return found[0], _verbatim(found[0], marks | {kind})
    return None


def _read_here(left: str, marks: frozenset[str]) -> Taken | None:
    for rule, take in _RULES:
        found = rule.match(left)
        if found is not None:
            return found[0], take(found, marks)
    pairs = [(rule.match(left), kind) for rule, kind in ((_EM, "italic"), (_STRONG, "bold"), (_UNDER, "underline"))]
    # Of these the longest wins, and of two as long the first in this order.
    pairs = [pair for pair in pairs if pair[0] is not None]
    if pairs:
        found, kind = max(pairs, key=lambda pair: len(pair[0][0]) if pair[0] else 0)
        assert found is not None
        return found[0], list(_read(next(part for part in found.groups() if part), marks | {kind}))
    for rule, kind in ((_STRIKE, "strike"), (_SPOILER, "spoiler")):
        found = rule.match(left)
        if found is not None:
            return found[0], list(_read_inline(found[1], marks | {kind}))
    return None


def _read_inline(source: str, marks: frozenset[str]) -> Iterator[Shown]:
    return _read(source, marks)


def _verbatim(text: str, marks: frozenset[str]) -> list[Shown]:
    return [Shown(character, marks) for character in text]


def _take_link(found: re.Match[str], marks: frozenset[str]) -> list[Shown]:
    if "://" in found[1] or not found[2].startswith(("http://", "https://")):
        return _verbatim(found[0], marks | {"raw"})
    return list(_read(found[1], marks | {f"link {found[2]}"}))


def _take_code(found: re.Match[str], marks: frozenset[str]) -> list[Shown]:
    return _verbatim(re.sub(r"^ (?= *`)|(` *) $", r"\1", found[2]), marks | {"code"})


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], frozenset[str]], list[Shown]]], ...] = (
    (_BLOCK, lambda found, marks: _verbatim(found[2], marks | {"pre"})),
    (_ESCAPE, lambda found, marks: _verbatim(found[1], marks)),
    (_ANGLED, lambda found, marks: _verbatim(found[1], marks | {"address"})),
    (_ADDRESS, lambda found, marks: _verbatim(found[0], marks | {"address"})),
    (_MENTION, lambda found, marks: _verbatim(found[0], marks | {"mention"})),
    (_EMOJI, lambda found, marks: _verbatim(found[0], marks | {"emoji"})),
    (_LINK, _take_link),
    (_CODE, _take_code),
)

"""This module writes one line of a message in Discord's Markdown: formatting marks, code, links and plain text.

Marks are nested in a fixed order. A mark is left out around code or an address that contains the mark's own characters,
which cannot be escaped there and would end the mark.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from channels.discord.escaping import escapes, find_addresses, might_be_marked
from channels.markup.addresses import is_web_address
from channels.markup.rich import Kind, Span

__all__ = ["APART", "apart", "write_line"]

APART = "\u200b"
"""The zero-width space that is put between two marks which would be read as one."""

LINES_KEPT = 256
"""The size of the cache of written lines: a streamed reply is measured again and again, and changes only at its end."""

_MARKERS: dict[Kind, str] = {"spoiler": "||", "strike": "~~", "bold": "**", "italic": "_"}
"""Outer ones first."""
_RUN = re.compile(r"\S+")
_ENCODED = {ord(character): f"%{ord(character):02X}" for character in "()<>\\`"}

Mark = tuple[Kind, str]
"""A kind, and for a link its address."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of a line with the same marks all over; `shown` is what is written, `raw` the text that it stands for."""

    shown: str
    raw: str
    marks: tuple[Mark, ...]


@lru_cache(LINES_KEPT)
def write_line(line: str, spans: tuple[Span, ...], halves: str, *, is_widest: bool) -> str:
    """Return a line as Discord's Markdown; `halves` are characters that need a backslash even when alone.

    `is_widest`: write each link in its longest form.
    """
    if not spans and not might_be_marked(line):
        return line
    return _Line(line, spans, halves, is_widest=is_widest).write()


class _Line:
    """Writes one line."""

    def __init__(self, line: str, spans: tuple[Span, ...], halves: str, *, is_widest: bool) -> None:
        self._line = line
        self._spans = spans
        self._halves = halves
        self._is_widest = is_widest

    def write(self) -> str:
        return "".join(_marked(_spaced(self._runs())))

    def _runs(self) -> list[_Run]:
        """Cut the line where its marks change, and around what is shown as it stands."""
        line = self._line
        solid = self._solid()
        edges = {0, len(line)}
        edges |= {edge for span in self._spans for edge in (span.start, span.end)}
        edges |= {edge for first, last, _ in solid for edge in (first, last)}
        edges -= {edge for first, last, _ in solid for edge in range(first + 1, last)}
        backslashes = escapes(line, edges, self._halves)
        runs = []
        for first, last in pairwise(sorted(edges)):
            raw = line[first:last]
            marks = self._marks(first, last)
            whole = next((shown for begins, ends, shown in solid if (begins, ends) == (first, last)), None)
            if whole is not None:
                shown = whole or (f"<{raw}>" if self._goes_on(last) else raw)
                runs.append(_Run(shown, raw, _around(shown, marks)))
            else:
                shown = "".join("\\" + c if first + n in backslashes else c for n, c in enumerate(raw))
                runs.append(_Run(shown, raw, marks))
        return self._linked(runs)

    def _goes_on(self, at: int) -> bool:
        """Tell whether Discord would read what is written behind an address as a part of it."""
        rest = _RUN.match(self._line, at)
        if rest is None:
            return any(span.start == at for span in self._spans if span.kind == "code")
        return bool(set("<>") & set(rest[0])) or any(span.start < rest.end() and at < span.end for span in self._spans)

    def _solid(self) -> list[tuple[int, int, str]]:
        """Return the places of code, each with its written form, and of addresses: nothing in them is escaped."""
        addresses = list(find_addresses(self._line))
        codes = [
            code
            for code in self._codes()
            if all(
                code[1] <= first or last <= code[0] or (code[0] <= first and last <= code[1])
                for first, last in addresses
            )
        ]
        free = [place for place in addresses if not any(code[0] <= place[0] < code[1] for code in codes)]
        return [*codes, *((first, last, "") for first, last in free)]

    def _codes(self) -> Iterator[tuple[int, int, str]]:
        """Yield the places of code with its written form; code that Discord cannot show is left as text."""
        for span in apart(span for span in self._spans if span.kind == "code"):
            shown = _code(self._line[span.start : span.end])
            if shown:
                yield span.start, span.end, shown

    def _marks(self, start: int, end: int) -> tuple[Mark, ...]:
        """Return the marks that lie on all of a part, outer ones first."""
        on = [span for span in self._spans if span.start <= start and end <= span.end]
        links = [("link", span.detail) for span in on if span.kind == "link" and is_web_address(span.detail)]
        kinds = {span.kind for span in on}
        marks: list[Mark] = [(kind, "") for kind in _MARKERS if kind in kinds]
        first: list[Mark] = [("link", address) for _, address in links[:1]]
        return (*first, *marks)

    def _linked(self, runs: list[_Run]) -> list[_Run]:
        """Write a link's address behind its words if Discord would not make a link of such words."""
        done: list[_Run] = []
        at = 0
        while at < len(runs):
            link = runs[at].marks[:1] if runs[at].marks[:1] and runs[at].marks[0][0] == "link" else ()
            stop = at + 1
            while link and stop < len(runs) and runs[stop].marks[:1] == link:
                stop += 1
            group = runs[at:stop]
            done += self._link(group, link[0][1]) if link else group
            at = stop
        return done

    def _link(self, runs: list[_Run], address: str) -> list[_Run]:
        words = "".join(run.raw for run in runs)
        bare = [_Run(run.shown, run.raw, run.marks[1:]) for run in runs]
        if self._is_widest or not (set("[]") & set(words) or "://" in words or not words.strip()):
            return runs
        if words == address or not words.strip():
            return bare
        return [*bare, _Run(f" (<{_encoded(address)}>)", " ()", ())]


def apart(spans: Iterable[Span]) -> Iterator[Span]:
    """Yield spans in order, without those that overlap one before."""
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= at and span.end > span.start:
            yield span
            at = span.end


def _code(text: str) -> str:
    """Return code as it is written within a line; empty if Discord has no way to show it."""
    runs = {len(found) for found in re.findall("`+", text)}
    fence = next((fence for fence in ("`", "``") if len(fence) not in runs), "")
    if not fence or not text.strip():
        return ""
    # Discord drops one space beside a backquote that begins or ends the code.
    before = " " if text.lstrip(" ").startswith("`") else ""
    after = " " if text.rstrip(" ").endswith("`") else ""
    return f"{fence}{before}{text}{after}{fence}"


def _around(shown: str, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Return the marks that can stand around code or an address whose characters would not end them."""
    if "\\" in shown:
        return tuple(mark for mark in marks if mark[0] == "link")
    characters = {"italic": "_*", "bold": "*", "strike": "~", "spoiler": "|"}
    return tuple(mark for mark in marks if not set(characters.get(mark[0], "")) & set(shown))


def _spaced(runs: list[_Run]) -> list[_Run]:
    """Move spaces at the edges of marks out of them."""
    parts = [part for run in runs for part in _parts(run)]
    if all(not part.marks for part in parts):
        return parts
    words = [number for number, part in enumerate(parts) if not part.raw.isspace()]
    done = []
    for number, part in enumerate(parts):
        if part.raw.isspace() and part.marks:
            before = [parts[word].marks for word in words if word < number]
            after = [parts[word].marks for word in words if word > number]
            marks = _common(before[-1], after[0]) if before and after else ()
            done.append(_Run(part.shown, part.raw, _common(marks, part.marks)))
        else:
            done.append(part)
    return done


def _parts(run: _Run) -> Iterator[_Run]:
    """Split a run's spaces at both ends from its words."""
    words = run.raw.strip()
    if run.shown.strip() != run.shown and words and run.marks:
        lead = len(run.shown) - len(run.shown.lstrip())
        tail = len(run.shown.rstrip())
        if lead:
            yield _Run(run.shown[:lead], run.shown[:lead], run.marks)
        yield _Run(run.shown[lead:tail], words, run.marks)
        if tail < len(run.shown):
            yield _Run(run.shown[tail:], run.shown[tail:], run.marks)
    elif run.raw:
        yield run


def _common(one: tuple[Mark, ...], other: tuple[Mark, ...]) -> tuple[Mark, ...]:
    same = 0
    while same < min(len(one), len(other)) and one[same] == other[same]:
        same += 1
    return one[:same]


def _marked(runs: list[_Run]) -> Iterator[str]:
    """Yield the runs with the beginnings and ends of their marks between them."""
    opened: list[tuple[Mark, str]] = []
    before = last = ""
    for number, run in enumerate(runs):
        same = len(_common(tuple(mark for mark, _ in opened), run.marks))
        closing = [ending for _, ending in reversed(opened[same:])]
        del opened[same:]
        yield _ended(closing, before)
        if closing and len(run.marks) > same:
            yield APART
        for depth in range(same, len(run.marks)):
            beginning, ending = _marker(run.marks[depth], runs, number, depth, before)
            opened.append((run.marks[depth], ending))
            yield beginning
        if last == run.shown[:1] == "`":
            yield APART
        yield run.shown
        before, last = run.raw[-1:], run.shown[-1:]
    yield _ended([ending for _, ending in reversed(opened)], before)


def _ended(endings: list[str], before: str) -> str:
    """Return the ends of marks; an end of `~~` or `||` is kept apart from the same character before it."""
    return "".join(
        APART + ending if before and ending in (2 * "~", 2 * "|") and ending[0] == before else ending
        for ending in endings
    )


def _marker(mark: Mark, runs: list[_Run], number: int, depth: int, before: str) -> tuple[str, str]:
    """Return the beginning and the end of a mark; italics use an underscore only if no letter is beside it."""
    kind, address = mark
    if kind == "link":
        return "[", f"](<{_encoded(address)}>)"
    if kind != "italic":
        return _MARKERS[kind], _MARKERS[kind]
    marks = runs[number].marks[: depth + 1]
    after = next((run.raw[:1] for run in runs[number:] if run.marks[: depth + 1] != marks), "")
    sign = "*" if _is_word(before) or _is_word(after) else "_"
    return sign, sign


def _is_word(character: str) -> bool:
    return character.isalnum() or character == "_"


def _encoded(address: str) -> str:
    """Return an address with percent codes for the characters that would end the link."""
    return address.translate(_ENCODED)

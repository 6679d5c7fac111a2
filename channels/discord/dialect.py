"""What Discord makes of a reply: its own Markdown, written so that it reads back as what was meant.

Marks end with each line and begin anew on the next, and lie within each other in a fixed order. Inside what is shown as
it stands (code, addresses) a mark's own characters would end the mark, so that it is left out around those.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from channels.discord.escaping import escapes, find_addresses, might_be_marked
from channels.markup.addresses import is_web_address
from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, Kind, RichText, Span, utf16_units

__all__ = ["DISCORD", "MOST_UNITS", "write_markdown"]

MOST_UNITS = 2000
"""Of one message (https://docs.discord.com/developers/resources/message#create-message), counted in UTF-16 units:
whether Discord counts so or by characters, that is enough."""

SLACK = 24
"""What marks and addresses can take more when less of the text is there, since a part of them reads otherwise."""

APART = "\u200b"
"""Stands between two marks that would be read as one."""

_MARKERS: dict[Kind, str] = {"spoiler": "||", "strike": "~~", "bold": "**", "italic": "_"}
"""Outer ones first."""
_FENCE = re.compile("`(?=`)")
_RUN = re.compile(r"\S+")
_ENCODED = {ord(character): f"%{ord(character):02X}" for character in "()<>\\`"}

Mark = tuple[Kind, str]
"""A kind, and for a link its address."""


@dataclass(frozen=True, slots=True)
class _Run:
    """A part of a line with the same marks; `raw` is what it stands for."""

    shown: str
    raw: str
    marks: tuple[Mark, ...]


def write_markdown(rich: RichText) -> str:
    """Return a text in Discord's Markdown."""
    return _Writer(rich).write()


def _units(rich: RichText) -> int:
    """Return what a text takes at most, in UTF-16 units; where that is too much anyway, no more than it takes."""
    least = utf16_units(rich)
    if least > MOST_UNITS or (not rich.spans and not might_be_marked(rich.text)):
        return least
    is_varying = bool(rich.spans) or "://" in rich.text
    return utf16_units(RichText(_Writer(rich, is_widest=True).write())) + (SLACK if is_varying else 0)


DISCORD = Dialect(render_markdown, _units, MOST_UNITS)


class _Writer:
    """Writes one text."""

    def __init__(self, rich: RichText, *, is_widest: bool = False) -> None:
        """Write each link in its longest form, if asked to."""
        self._text = rich.text
        self._spans = rich.spans
        self._is_widest = is_widest
        kinds = {span.kind for span in rich.spans}
        self._halves = ("~" if "strike" in kinds else "") + ("|" if "spoiler" in kinds else "")
        self._quotes = [span for span in rich.spans if span.kind == "quote"]

    def write(self) -> str:
        return "".join(self._blocks())

    def _blocks(self) -> Iterator[str]:
        """Give lines of text, and blocks of code, in turn."""
        at = 0
        for span in _apart(span for span in self._spans if span.kind == "pre"):
            code = self._text[span.start : span.end]
            if not code.strip():
                continue
            yield from self._lines(at, span.start)
            yield self._block(span, code)
            at = span.end
        yield from self._lines(at, len(self._text))

    def _block(self, span: Span, code: str) -> str:
        """Write a block of code; its end cannot stand in it, so that backquotes are kept apart."""
        lines = f"```{span.detail}\n{_FENCE.sub('`' + APART, code)}\n```".split("\n")
        prefix = "> " if self._is_quoted(span.start, span.end) else ""
        begins = prefix if self._begins_line(span.start) else ""
        return begins + f"\n{prefix}".join(lines)

    def _lines(self, start: int, end: int) -> Iterator[str]:
        """Write what is no block of code."""
        while start < end:
            found = self._text.find("\n", start, end)
            stop = end if found < 0 else found
            yield self._line(start, stop)
            if found >= 0:
                yield "\n"
            start = stop + 1

    def _line(self, start: int, end: int) -> str:
        prefix = "> " if self._begins_line(start) and self._is_quoted(start, max(end, start + 1)) else ""
        return prefix + "".join(_marked(_spaced(self._runs(start, end))))

    def _begins_line(self, start: int) -> bool:
        return start == 0 or self._text[start - 1] == "\n"

    def _is_quoted(self, start: int, end: int) -> bool:
        return any(span.start < end and start < span.end for span in self._quotes)

    def _runs(self, start: int, end: int) -> list[_Run]:
        """Cut a line where its marks change, and around what is shown as it stands."""
        line = self._text[start:end]
        solid = self._solid(start, end)
        edges = {0, len(line)}
        edges |= {edge - start for span in self._spans for edge in (span.start, span.end) if start < edge < end}
        edges |= {edge for first, last, _ in solid for edge in (first, last)}
        edges -= {edge for first, last, _ in solid for edge in range(first + 1, last)}
        backslashes = escapes(line, edges, self._halves)
        runs = []
        for first, last in pairwise(sorted(edges)):
            raw = line[first:last]
            marks = self._marks(start + first, start + last)
            whole = next((shown for begins, ends, shown in solid if (begins, ends) == (first, last)), None)
            if whole is not None:
                shown = whole or (f"<{raw}>" if self._goes_on(start + last, end) else raw)
                runs.append(_Run(shown, raw, _around(shown, marks)))
            else:
                shown = "".join("\\" + c if first + n in backslashes else c for n, c in enumerate(raw))
                runs.append(_Run(shown, raw, marks))
        return self._linked(runs)

    def _goes_on(self, at: int, end: int) -> bool:
        """Tell whether something is written behind an address here that would be read as a part of it."""
        rest = _RUN.match(self._text, at, end)
        if rest is None:
            return False
        return bool(set("<>") & set(rest[0])) or any(span.start < rest.end() and at < span.end for span in self._spans)

    def _solid(self, start: int, end: int) -> list[tuple[int, int, str]]:
        """Give the places of what is shown as it stands: code, as it is written, and addresses."""
        addresses = list(find_addresses(self._text[start:end]))
        codes = [
            code
            for code in self._codes(start, end)
            if all(
                code[1] <= first or last <= code[0] or (code[0] <= first and last <= code[1])
                for first, last in addresses
            )
        ]
        free = [place for place in addresses if not any(code[0] <= place[0] < code[1] for code in codes)]
        return [*codes, *((first, last, "") for first, last in free)]

    def _codes(self, start: int, end: int) -> Iterator[tuple[int, int, str]]:
        """Give the places of code in a line, with how it is written; what cannot be is left as text."""
        for span in _apart(span for span in self._spans if span.kind == "code"):
            first, last = max(span.start, start), min(span.end, end)
            shown = _code(self._text[first:last]) if first < last else ""
            if shown:
                yield first - start, last - start, shown

    def _marks(self, start: int, end: int) -> tuple[Mark, ...]:
        """Return the marks that lie on all of a part, outer ones first."""
        on = [span for span in self._spans if span.start <= start and end <= span.end]
        links = [("link", span.detail) for span in on if span.kind == "link" and is_web_address(span.detail)]
        kinds = {span.kind for span in on}
        marks: list[Mark] = [(kind, "") for kind in _MARKERS if kind in kinds]
        first: list[Mark] = [("link", address) for _, address in links[:1]]
        return (*first, *marks)

    def _linked(self, runs: list[_Run]) -> list[_Run]:
        """Write the address behind words that Discord would not let it hide behind."""
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


def _apart(spans: Iterable[Span]) -> Iterator[Span]:
    """Give spans in their order, less what lies in one before."""
    at = 0
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        if span.start >= at and span.end > span.start:
            yield span
            at = span.end


def _code(text: str) -> str:
    """Write code within a line; empty where Discord has no way to."""
    runs = {len(found) for found in re.findall("`+", text)}
    fence = next((fence for fence in ("`", "``") if len(fence) not in runs), "")
    if not fence or not text.strip():
        return ""
    # Of the spaces beside a backquote that begins or ends it, one is not shown.
    before = " " if text.lstrip(" ").startswith("`") else ""
    after = " " if text.rstrip(" ").endswith("`") else ""
    return f"{fence}{before}{text}{after}{fence}"


def _around(shown: str, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Return the marks that can stand around what is shown as it stands."""
    if "\\" in shown:
        return tuple(mark for mark in marks if mark[0] == "link")
    characters = {"italic": "_*", "bold": "*", "strike": "~", "spoiler": "|"}
    return tuple(mark for mark in marks if not set(characters.get(mark[0], "")) & set(shown))


def _spaced(runs: list[_Run]) -> list[_Run]:
    """Take spaces out of the marks that begin or end beside them."""
    parts = [part for run in runs for part in _parts(run)]
    words = [number for number, part in enumerate(parts) if not part.raw.isspace()]
    done = []
    for number, part in enumerate(parts):
        if part.raw.isspace():
            before = [parts[word].marks for word in words if word < number]
            after = [parts[word].marks for word in words if word > number]
            marks = _common(before[-1], after[0]) if before and after else ()
            done.append(_Run(part.shown, part.raw, _common(marks, part.marks)))
        else:
            done.append(part)
    return done


def _parts(run: _Run) -> Iterator[_Run]:
    """Part a run's spaces at both ends from its words."""
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
    """Give the runs with their marks between them."""
    opened: list[tuple[Mark, str]] = []
    before = ""
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
        yield run.shown
        before = run.raw[-1:]
    yield _ended([ending for _, ending in reversed(opened)], before)


def _ended(endings: list[str], before: str) -> str:
    """Write the ends of marks; two of them do not know a backslash, and would begin with the character before."""
    return "".join(
        APART + ending if before and ending in (2 * "~", 2 * "|") and ending[0] == before else ending
        for ending in endings
    )


def _marker(mark: Mark, runs: list[_Run], number: int, depth: int, before: str) -> tuple[str, str]:
    """Return how a mark begins and ends; italics with an underscore only where no letter is beside it."""
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
    """Return an address that ends no link."""
    return address.translate(_ENCODED)

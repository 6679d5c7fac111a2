"""Renders a conversation for people, for the screen or as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agentd.cli.screen import clean
from agentd.transcript.lines import Line
from agentd.transcript.records import (
    LOST_ENDING,
    AssistantMessage,
    Command,
    Compaction,
    Damaged,
    Delete,
    Delivery,
    Edit,
    Erased,
    Failure,
    Record,
    Reset,
    Source,
    Undo,
    Unknown,
    UserMessage,
    parse_line,
)

__all__ = ["as_markdown", "as_screen"]

_LINE_ENDS = re.compile(r"\r\n?|\n")
_MARKUP = re.compile(r"([\\`*_\[\]<>~&|])")


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something that was said (by `who`), or that happened (`who` is empty)."""

    ts: str
    who: str
    what: str
    text: str = ""


def as_screen(lines: Iterable[Line]) -> Iterator[str]:
    """Yield a conversation's lines for the screen."""
    for entry in _entries(lines):
        head = f"{entry.who}{f' {entry.what}' if entry.what else ''}" if entry.who else f"-- {entry.what}"
        yield clean(f"{_moment(entry.ts)}  {head}")
        for line in _LINE_ENDS.split(entry.text) if entry.text else ():
            yield f"    {clean(line)}"


def as_markdown(key: str, lines: Iterable[Line]) -> Iterator[str]:
    """Yield a conversation as Markdown; messages stand verbatim in fences that their text cannot close."""
    yield f"# {_escape(key)}"
    for entry in _entries(lines):
        head = f"**{_escape(entry.who)}**{f' {_escape(entry.what)}' if entry.what else ''}" if entry.who else ""
        yield ""
        yield f"{head or f'*{_escape(entry.what)}*'}, {_escape(_moment(entry.ts))}"
        if entry.text:
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", entry.text)), default=0))
            yield from ("", f"{fence}text", *map(clean, _LINE_ENDS.split(entry.text)), fence)


def _entries(lines: Iterable[Line]) -> Iterator[_Entry]:
    for line in lines:
        if line.content is None or line.content.strip():
            record = Damaged(fault="too long") if line.content is None else parse_line(line.content)
            entry = _entry(record, line.number)
            if entry is not None:
                yield entry


def _entry(record: Record | Damaged | Unknown, number: int) -> _Entry | None:
    match record:
        case UserMessage():
            files = "".join(f"\n[{file.name}, {file.media_type}]" for file in record.attachments)
            return _Entry(record.ts, _name(record.source), f"(#{record.seq})", (record.content + files).lstrip("\n"))
        case AssistantMessage():
            cut = ", cut short" if record.outcome == "interrupted" else ""
            return _Entry(record.ts, "agentd", f"(#{record.seq}{cut})", record.content)
        case Command():
            return _Entry(record.ts, _name(record.source), f"(#{record.seq})", f"/{record.name} {record.args}".rstrip())
        case Edit():
            return _Entry(record.ts, _name(record.source), f"edited #{record.of}", record.content)
        case Compaction():
            start, end = record.covers
            return _Entry(record.ts, "", f"summary of #{start} to #{end}", record.summary)
        case Failure():
            what = "what was said here is lost" if record.reason == LOST_ENDING else f"no reply ({record.reason})"
            return _Entry(record.ts, "", what, record.notice)
        case Damaged():
            return _Entry("", "", f"line {number} is damaged")
        case _:
            what = _event(record)
            return _Entry(record.ts, "", what) if what else None


def _event(record: Record | Unknown) -> str:
    match record:
        case Reset():
            return f"a new conversation ({record.reason})"
        case Delete():
            return f"#{record.of} was deleted by its author"
        case Undo():
            return f"summary #{record.of} is undone"
        case Erased():
            return "erased"
        case Delivery() if record.state != "sent":
            return f"delivery of #{record.of}: {record.state}"
        case _:
            return ""


def _name(source: Source | None) -> str:
    return (source.author.name or source.author.id) if source else "user"


def _moment(ts: str) -> str:
    return ts.replace("T", " ")[:19] if ts else "-"


def _escape(text: str) -> str:
    return _MARKUP.sub(r"\\\1", clean(text))

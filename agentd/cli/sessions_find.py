"""`agentd sessions search`: finds the messages that contain all the words, and shows the line around the first
of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from agentd.cli.screen import clean, print_array_text, print_text
from agentd.cli.sessions_cores import count_cores, read_on_cores
from agentd.transcript.lines import read_whole_lines
from agentd.transcript.matching import Query
from agentd.transcript.records import AssistantMessage, Edit, UserMessage, parse_line

__all__ = ["Hit", "find_hits", "print_hits"]

MOST_CHARACTERS = 160


class Hit(NamedTuple):
    """A message that contains all the words; `seq` is -1 in a line without one."""

    key: str
    file: str
    seq: int
    ts: str
    who: str
    line: str

    def __str__(self) -> str:
        """Return one line for the screen."""
        number = f"#{self.seq}" if self.seq >= 0 else "-"
        return clean(f"{self.key}  {self.ts[:19].replace('T', ' ') or '-'}  {number}  {self.who}: {self.line}")


def print_hits(files: Sequence[Path], query: Query, *, as_json: bool) -> None:
    """Print the hits in these files, in their order. Raises OSError."""

    def as_lines(path: Path) -> Iterator[str]:
        return (f"{hit}\n" for hit in find_hits(path, query))

    def as_items(path: Path) -> Iterator[str]:
        return (f",{json.dumps(hit._asdict())}\n" for hit in find_hits(path, query))

    if as_json:
        print_array_text(read_on_cores(as_items, files, count_cores()))
    else:
        print_text(read_on_cores(as_lines, files, count_cores()))


def find_hits(path: Path, query: Query) -> Iterator[Hit]:
    """Yield the matching messages of a session, new texts of edits included. Raises OSError."""
    key, file = path.stem, str(path)
    for block in read_whole_lines(path):
        for start, end in query.candidates(block):
            record = parse_line(block[start:end])
            if isinstance(record, UserMessage | AssistantMessage | Edit) and query.matches(record.content):
                who = "agentd" if isinstance(record, AssistantMessage) else _author(record)
                line = _around(record.content, query.words[0])
                yield Hit(key, file, record.seq, record.ts, who, line)


def _author(record: UserMessage | Edit) -> str:
    return (record.source.author.name or record.source.author.id) if record.source else "user"


def _around(content: str, word: str) -> str:
    """Return the line that contains the word, shortened around it."""
    lines = content.splitlines()
    line = lines[0] if len(lines) == 1 else next((line for line in lines if word in line.casefold()), content)
    if len(line) <= MOST_CHARACTERS:
        return line.strip()
    start = max(0, line.casefold().find(word) - MOST_CHARACTERS // 2)
    piece = line[start : start + MOST_CHARACTERS].strip()
    return f"{'…' if start else ''}{piece}{'…' if start + MOST_CHARACTERS < len(line) else ''}"

"""`sessions search`: the messages that hold all the words, and the line of each around the first of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from agentd.cli.screen import clean
from agentd.transcript.lines import read_whole_lines
from agentd.transcript.matching import Query
from agentd.transcript.records import AssistantMessage, Edit, UserMessage, parse_line

__all__ = ["Hit", "find_hits"]

MOST_CHARACTERS = 160


class Hit(NamedTuple):
    """A message that holds all the words; `seq` is -1 in a line that has none."""

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


def find_hits(path: Path, query: Query) -> Iterator[Hit]:
    """Yield the messages of a session that match, an edit's new text included. Raises OSError."""
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
    """Return the line that holds the word, cut to what fits beside it."""
    line = next((line for line in content.splitlines() if word in line.casefold()), content)
    if len(line) <= MOST_CHARACTERS:
        return line.strip()
    start = max(0, line.casefold().find(word) - MOST_CHARACTERS // 2)
    piece = line[start : start + MOST_CHARACTERS].strip()
    return f"{'…' if start else ''}{piece}{'…' if start + MOST_CHARACTERS < len(line) else ''}"

"""This module records what happened in a run, one line each: the playbook that a failing seed prints."""

from __future__ import annotations

import json
from collections.abc import Iterator

__all__ = ["History"]

MOST_TEXT = 110


class History:
    """Lines with the virtual time at which they happened, formatted only when somebody reads them."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lines: list[tuple[float, int, str, tuple[object, ...]]] = []

    def add(self, now: float, life: int, what: str, *details: object) -> None:
        """Keep one line; bytes among the details are shown as the records that they are."""
        self._lines.append((now, life, what, details))

    def lines(self) -> Iterator[str]:
        """Yield the playbook."""
        for now, life, what, details in self._lines:
            yield f"{now:10.3f}  life {life}  {what:<8} {' '.join(map(_show, details))}"

    def text(self) -> str:
        """Return the playbook as one text."""
        return "\n".join(self.lines())


def _show(detail: object) -> str:
    if isinstance(detail, bytes):
        return " + ".join(_describe(line) for line in detail.split(b"\n") if line) or "(a newline)"
    text = str(detail).replace("\n", "⏎")
    return text if len(text) <= MOST_TEXT else f"{text[: MOST_TEXT - 20]}…({len(text)} characters)"


def _describe(line: bytes) -> str:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        return f"{len(line)} bytes that are no record"
    kind = record.get("role", record.get("type"))
    names = ("name", "answers", "of", "part", "state", "message_id", "reason", "message_ids", "outcome")
    words = [f"{name}={record[name]}" for name in names if name in record]
    if record.get("source"):
        words.append(f"from={record['source']['message_id']}")
    if kind in ("user", "assistant", "edit"):
        words.append(repr(record["content"][:40]))
    return f"#{record.get('seq')} {kind} {' '.join(words)}".replace("\n", "⏎")

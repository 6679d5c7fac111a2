"""This module checks that each request has the turns so far, in the order in which they ended, and nothing else.

A summary names every message that it stands for: it and the turns behind it make up all that was said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tests.simulation.model import Asked, tokens

__all__ = ["check_prompts"]

LATE_RECORDS = 12
"""What was just written may not have reached the conversation yet when it asks."""

Group = tuple[str, ...]


def check_prompts(
    asked: Iterable[tuple[Asked, str, int]], files: dict[str, list[dict[str, Any]]], *, is_whole: bool
) -> Iterator[str]:
    """Yield what is wrong; `is_whole` where the context has room for everything."""
    for request, name, written in asked:
        records = files.get(name)
        if records is None:
            continue
        earlier = [group for group in request.earlier if group]
        if {token for group in earlier for token in group} & set(request.newest):
            yield f"request #{request.number} holds its newest message twice"
        starts = range(min(written, len(records)), max(written - LATE_RECORDS, 0) - 1, -1)
        pasts = (_behind(request.summary, records[:start]) for start in starts)
        if not any(_fits(earlier, request.newest, past, is_whole=is_whole) for past in pasts if past is not None):
            expected = _turns(records[:written])
            yield f"request #{request.number} has {request.summary} and the turns {earlier}, and {expected} had ended"


def _behind(summary: Group, records: list[dict[str, Any]]) -> list[Group] | None:
    """Return the turns that a summary does not stand for; None where it stands for others than the first."""
    deleted = {token for record in records if record["type"] == "delete" for token in _said(records, record["of"])}
    summary = tuple(token for token in summary if token not in deleted)
    turns, covered = _turns(records), 0
    while summary and covered < len(turns) and summary[: len(turns[covered])] == turns[covered]:
        summary = summary[len(turns[covered]) :]
        covered += 1
    return None if summary else turns[covered:]


def _said(records: list[dict[str, Any]], seq: int) -> Group:
    return tokens(records[seq].get("content", ""))


def _fits(earlier: list[Group], newest: Group, turns: list[Group], *, is_whole: bool) -> bool:
    if turns and turns[-1] == newest:  # a /retry asks the last turn again
        turns = turns[:-1]
    if is_whole:
        return earlier == turns
    shown = turns[len(turns) - len(earlier) :]
    return len(shown) == len(earlier) and all(map(_is_cut_of, earlier, shown))


def _is_cut_of(shown: Group, turn: Group) -> bool:
    """Tell whether this is the turn, or what is left of it where its middle had to be cut out."""
    rest = iter(turn)
    return all(token in rest for token in shown)


def _turns(records: list[dict[str, Any]]) -> list[Group]:
    """Return the messages of each turn since the last reset, in the order of their ends."""
    said = {record["seq"]: tokens(record["content"]) for record in records if record.get("role") == "user"}
    for record in records:
        if record["type"] == "delete":
            said[record["of"]] = ()
    turns: list[Group] = []
    for record in records:
        if record["type"] == "reset":
            turns.clear()
        elif record["type"] == "failure" or record.get("role") == "assistant":
            turns.append(tuple(token for seq in record["answers"] for token in said.get(seq, ())))
    return [turn for turn in turns if turn]

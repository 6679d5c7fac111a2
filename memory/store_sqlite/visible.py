"""This module reads entries under the condition that the person may see them; every query for a person uses it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from memory.model import Evidence, Kind, Memory, Who
from memory.recall import Candidate
from memory.stored import moment, storable

__all__ = ["VISIBLE", "Rows", "candidates", "memories", "people", "rows_of", "scopes_of"]

VISIBLE = """
    entry.scope IN (
        SELECT id FROM scope WHERE person IN (SELECT value FROM json_each(:senders)) AND (direct = 0 OR :direct)
    )
"""
"""The condition under which a person sees an entry."""

_MEMORY = f"""
    SELECT entry.id, scope.person, kind, text, created, happened, scope.direct, session, first, last, importance,
           superseded_at, superseded_by,
           (SELECT json_group_array(id) FROM entry AS old WHERE old.superseded_by = entry.id)
    FROM entry JOIN scope ON scope.id = entry.scope WHERE {VISIBLE}
"""  # noqa: S608 - no value is put into it


@dataclass(frozen=True, slots=True)
class Rows:
    """The values of the condition `VISIBLE` for one person."""

    senders: str
    direct: bool

    def values(self, **more: int | float | str | None) -> Mapping[str, int | float | str | None]:
        """Return the values by name, with `more` that a query needs."""
        return {"senders": self.senders, "direct": self.direct, **more}


def rows_of(who: Who) -> Rows:
    """Return the values with which the condition lets in this person's entries and no others."""
    return Rows(json.dumps([storable(sender) for sender in sorted(who.senders)]), who.direct)


def scopes_of(connection: sqlite3.Connection, rows: Rows) -> tuple[int, ...]:
    """Return the ids of the visible scopes."""
    found = connection.execute(
        "SELECT id FROM scope WHERE person IN (SELECT value FROM json_each(:senders)) AND (direct = 0 OR :direct)"
        " ORDER BY id",
        rows.values(),
    )
    return tuple(number for (number,) in found)


def people(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Return everybody who has an entry: the only query without a person's rights."""
    found = connection.execute(
        "SELECT DISTINCT person FROM scope WHERE EXISTS (SELECT 1 FROM entry WHERE entry.scope = scope.id)"
        " ORDER BY person"
    )
    return tuple(person for (person,) in found)


def candidates(connection: sqlite3.Connection, rows: Rows, scores: Mapping[int, float]) -> list[Candidate]:
    """Return the scored entries that are visible and in force; the query returns them as one row."""
    [found] = connection.execute(
        "SELECT json_group_array(json_array(id, kind, author, session, happened, text, importance)) FROM entry"  # noqa: S608 - as above
        f" WHERE id IN (SELECT value FROM json_each(:ids)) AND superseded_at IS NULL AND {VISIBLE}",
        rows.values(ids=json.dumps(list(scores))),
    ).fetchone()
    return [
        Candidate(number, scores[number], Kind(kind), author, session, moment(happened), text, importance)
        for number, kind, author, session, happened, text, importance in json.loads(found)
    ]


def memories(
    connection: sqlite3.Connection, rows: Rows, condition: str, values: Mapping[str, int]
) -> tuple[Memory, ...]:
    """Return the visible entries that meet an SQL condition, which may end with an ORDER BY."""
    found = connection.execute(f"{_MEMORY} AND {condition}", rows.values(**values)).fetchall()
    evidence = _evidence(connection, (number for number, *_ in found))
    return tuple(
        Memory(
            number, person, Kind(kind), text, moment(created), moment(happened), bool(direct), session, first, last,
            importance, evidence.get(number, ()), None if gone is None else moment(gone), by,
            tuple(sorted(json.loads(old))),
        )
        for (number, person, kind, text, created, happened, direct, session, first, last, importance, gone, by, old)
        in found
    )  # fmt: skip


def _evidence(connection: sqlite3.Connection, entries: Iterable[int]) -> Mapping[int, tuple[Evidence, ...]]:
    found = connection.execute(
        "SELECT entry, session, seq, quote FROM evidence WHERE entry IN (SELECT value FROM json_each(?))"
        " ORDER BY entry, session, seq",
        [json.dumps(list(entries))],
    )
    by_entry: dict[int, tuple[Evidence, ...]] = {}
    for entry, session, seq, quote in found:
        by_entry[entry] = (*by_entry.get(entry, ()), Evidence(session, seq, quote))
    return by_entry

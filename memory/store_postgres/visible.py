"""This module reads entries under the condition that the person may see them; every query for a person uses it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

from memory.model import Evidence, Kind, Memory, Who
from memory.recall import Candidate
from memory.store_postgres.server import Connection
from memory.stored import moment, storable

__all__ = ["VISIBLE", "Values", "candidates", "memories", "people", "scopes_of", "values_of"]

Values = Mapping[str, Any]

_SCOPES: Final[LiteralString] = """
    SELECT id FROM agentd_memory_scope WHERE person = ANY (%(senders)s) AND (NOT direct OR %(direct)s)
"""

VISIBLE: Final[LiteralString] = f" scope IN ({_SCOPES}) "
"""The condition under which a person sees an entry."""

_MEMORY: Final[LiteralString] = f"""
    SELECT entry.id, scope.person, kind, text, created, happened, scope.direct, session, first, last, importance,
           superseded_at, superseded_by,
           ARRAY (SELECT id FROM agentd_memory_entry AS old WHERE old.superseded_by = entry.id ORDER BY id)
    FROM agentd_memory_entry AS entry JOIN agentd_memory_scope AS scope ON scope.id = entry.scope WHERE {VISIBLE}
"""  # noqa: S608 - no value is put into it


def values_of(who: Who) -> Values:
    """Return the values with which the condition lets in this person's entries and no others."""
    return {"senders": [storable(sender) for sender in sorted(who.senders)], "direct": who.direct}


async def scopes_of(connection: Connection, values: Values) -> tuple[int, ...]:
    """Return the ids of the visible scopes."""
    found = await connection.execute(f"{_SCOPES} ORDER BY id", values)
    return tuple([number async for (number,) in found])


async def people(connection: Connection) -> tuple[str, ...]:
    """Return everybody who has an entry: the only query without a person's rights."""
    found = await connection.execute(
        'SELECT DISTINCT person COLLATE "C" AS person FROM agentd_memory_scope AS scope'
        " WHERE EXISTS (SELECT 1 FROM agentd_memory_entry AS entry WHERE entry.scope = scope.id) ORDER BY person"
    )
    return tuple([person async for (person,) in found])


async def candidates(connection: Connection, values: Values, scores: Mapping[int, float]) -> list[Candidate]:
    """Return the scored entries that are visible and in force."""
    found = await connection.execute(
        "SELECT id, kind, author, session, happened, text, importance FROM agentd_memory_entry"  # noqa: S608 - as above
        f" WHERE id = ANY (%(ids)s) AND superseded_at IS NULL AND {VISIBLE}",
        {**values, "ids": list(scores)},
    )
    return [
        Candidate(number, scores[number], Kind(kind), author, session, moment(happened), text, importance)
        async for number, kind, author, session, happened, text, importance in found
    ]


async def memories(connection: Connection, condition: LiteralString, values: Values) -> tuple[Memory, ...]:
    """Return the visible entries that meet an SQL condition, which may end with an ORDER BY."""
    rows = await (await connection.execute(f"{_MEMORY} AND {condition}", values)).fetchall()
    evidence = await _evidence(connection, [number for number, *_ in rows])
    return tuple(
        Memory(
            number, person, Kind(kind), text, moment(created), moment(happened), direct, session, first, last,
            importance, evidence.get(number, ()), None if gone is None else moment(gone), by, tuple(old),
        )
        for (number, person, kind, text, created, happened, direct, session, first, last, importance, gone, by, old)
        in rows
    )  # fmt: skip


async def _evidence(connection: Connection, entries: Sequence[int]) -> Mapping[int, tuple[Evidence, ...]]:
    found = await connection.execute(
        "SELECT entry, session, seq, quote FROM agentd_memory_evidence WHERE entry = ANY (%s)"
        ' ORDER BY entry, session COLLATE "C", seq',
        [list(entries)],
    )
    by_entry: dict[int, tuple[Evidence, ...]] = {}
    async for entry, session, seq, quote in found:
        by_entry[entry] = (*by_entry.get(entry, ()), Evidence(session, seq, quote))
    return by_entry

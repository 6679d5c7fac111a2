"""Keeps the index of words true to the entries: each is indexed with its neighbours of the same scope and occasion."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from memory.model import Kind
from memory.recall import NEIGHBOURS, SAME_OCCASION_SECONDS, Told, index
from memory.stored import moment

__all__ = ["drop_words", "index_entry", "neighbours_of", "purge_words"]


def index_entry(connection: sqlite3.Connection, entry: int) -> None:
    """Put an entry's words into the index, in the place of those that are there."""
    [row] = _rows(connection, "SELECT * FROM entry WHERE id = ?", [entry])
    before, behind = _around(connection, row)
    words = index(_told(row), [_told(found) for found in before], [_told(found) for found in behind])
    connection.execute(
        "INSERT OR REPLACE INTO words (rowid, scope, body, asked, around) VALUES (?, ?, ?, ?, ?)",
        (entry, f"s{row['scope']}", words.body, words.asked, words.around),
    )


def neighbours_of(connection: sqlite3.Connection, entry: int) -> list[int]:
    """Return the entries in whose index its words are, too."""
    [row] = _rows(connection, "SELECT * FROM entry WHERE id = ?", [entry])
    before, behind = _around(connection, row)
    return [found["id"] for found in (*before, *behind)]


def drop_words(connection: sqlite3.Connection, entries: Iterable[int]) -> None:
    """Take entries out of the index."""
    connection.executemany("DELETE FROM words WHERE rowid = ?", ((entry,) for entry in entries))


def purge_words(connection: sqlite3.Connection) -> None:
    """Rewrite the index without what was deleted: until then FTS5 keeps the words, marked as gone."""
    connection.execute("INSERT INTO words (words) VALUES ('optimize')")


def _around(connection: sqlite3.Connection, row: sqlite3.Row) -> tuple[list[sqlite3.Row], list[sqlite3.Row]]:
    """Return the neighbours before and behind, nearest first; a lasting fact has none."""
    if row["kind"] != Kind.DAILY:
        return [], []
    same = "SELECT * FROM entry WHERE session = ? AND scope = ? AND kind = ? AND id {} ? ORDER BY id {} LIMIT ?"
    given = [row["session"], row["scope"], row["kind"], row["id"], NEIGHBOURS]
    before = _rows(connection, same.format("<", "DESC"), given)
    behind = _rows(connection, same.format(">", "ASC"), given)
    return [found for found in before if _is_near(row, found)], [found for found in behind if _is_near(row, found)]


def _is_near(row: sqlite3.Row, other: sqlite3.Row) -> bool:
    return abs(int(row["happened"]) - int(other["happened"])) <= SAME_OCCASION_SECONDS * 1000


def _told(row: sqlite3.Row) -> Told:
    return Told(row["author"], row["text"], moment(row["happened"]))


def _rows(connection: sqlite3.Connection, query: str, values: list[int]) -> list[sqlite3.Row]:
    cursor = connection.cursor()
    cursor.row_factory = sqlite3.Row
    return list(cursor.execute(query, values))

"""This module keeps the word index in SQLite.

The index contains no words, but hashes of words keyed with the scope's key: one person's part is found without reading
another's, and forgotten entries leave no word behind. Entries of one occasion have adjacent places; what a neighbour's
words add to an entry is computed at query time, and so disappears with the neighbour.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from memory.model import Kind
from memory.recall import NEIGHBOURS, SAME_OCCASION_SECONDS
from memory.stored import moment
from memory.text.dates import date_words, is_question
from memory.text.words import Term, index_terms

__all__ = ["MOST_COUNTED", "drop_scopes", "drop_words", "index_entry", "index_missing", "number_of", "unpack"]

MOST_COUNTED = 15
"""The most occurrences of a word in one entry that are counted."""

_PLACES = 65536
"""How many places one occasion has; with more entries it continues as another."""


_DROPPED = 5000
"""How many entries are removed from the index at once; their rows take less than 20 MB of memory."""


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of an entry, counted."""

    dated: Counter[Term]
    """The words of its date, which are not lent to its neighbours: those have the same date."""
    told: Counter[Term]
    asks: bool

    def rows(self, key: bytes) -> dict[int, int]:
        """Return each word's number with its count, its count without the date, and `asks`, packed into one number."""
        return {
            number_of(key, term): min(self.dated[term] + self.told[term], MOST_COUNTED)
            | min(self.told[term], MOST_COUNTED) << 4
            | self.asks << 8
            for term in {*self.dated, *self.told}
        }


def number_of(key: bytes, term: Term) -> int:
    """Return the keyed hash that stands for a word in a scope's index."""
    digest = blake2b("\0".join(term).encode("utf-8", "replace"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little", signed=True)


def unpack(told: int) -> tuple[int, int, bool]:
    """Return a word's count in an entry, its count without the date, and whether the entry is a question."""
    return told & 15, told >> 4 & 15, bool(told >> 8)


def index_entry(connection: sqlite3.Connection, entry: int) -> None:
    """Add an entry to the index, which must not have it yet."""
    [row] = connection.execute(
        "SELECT scope, scope.key, entry.kind, author, text, session, happened"
        " FROM entry JOIN scope ON scope.id = entry.scope WHERE entry.id = ?",
        [entry],
    )
    scope, key, kind, author, text, session, happened = row
    words = _Words(
        Counter(index_terms(date_words(moment(happened)))), Counter(index_terms(f"{author}: {text}")), is_question(text)
    )
    place = _place(connection, entry, (session, scope, kind), happened)
    rows, told, total = words.rows(key), _length(words.told), _length(words.told) + _length(words.dated)
    connection.execute(
        "INSERT INTO placed (entry, scope, place, told, total, numbers) VALUES (?, ?, ?, ?, ?, ?)",
        (entry, scope, place, told, total, array("q", rows).tobytes()),
    )
    connection.executemany("INSERT INTO words VALUES (?, ?, ?)", ((number, place, has) for number, has in rows.items()))
    _count(connection, scope, 1, total + _meet(connection, entry, place, told))


def _length(terms: Counter[Term]) -> int:
    """Return the number of words; a pair of CJK characters does not count besides its single characters."""
    return sum(often for term, often in terms.items() if len(term) == 1)


def index_missing(connection: sqlite3.Connection) -> None:
    """Add all entries in force to the index that it does not have."""
    missing = connection.execute(
        "SELECT id FROM entry WHERE superseded_at IS NULL AND id NOT IN (SELECT entry FROM placed) ORDER BY id"
    ).fetchall()
    for (entry,) in missing:
        index_entry(connection, entry)


def drop_words(connection: sqlite3.Connection, entries: Iterable[int]) -> None:
    """Remove entries from the index."""
    gone: list[tuple[int, int]] = []
    for entry in entries:
        found = connection.execute("SELECT scope, place, told, total, numbers FROM placed WHERE entry = ?", [entry])
        for scope, place, told, total, numbers in found.fetchall():
            near = _meet(connection, entry, place, -told)
            _count(connection, scope, -1, near - total)
            connection.execute("DELETE FROM placed WHERE entry = ?", [entry])
            gone += ((number, place) for number in array("q", numbers))
    connection.executemany("DELETE FROM words WHERE term = ? AND place = ?", sorted(gone))


def drop_scopes(connection: sqlite3.Connection, scopes: Sequence[int]) -> None:
    """Remove whole scopes from the index, some thousand entries at a time."""
    within = json.dumps(list(scopes))
    rows = connection.execute(
        "SELECT place, numbers FROM placed WHERE scope IN (SELECT value FROM json_each(?))", [within]
    )
    while some := rows.fetchmany(_DROPPED):
        gone = ((number, place) for place, numbers in some for number in array("q", numbers))
        connection.executemany("DELETE FROM words WHERE term = ? AND place = ?", sorted(gone))
    connection.execute("DELETE FROM placed WHERE scope IN (SELECT value FROM json_each(?))", [within])
    connection.execute("UPDATE scope SET entries = 0, words = 0 WHERE id IN (SELECT value FROM json_each(?))", [within])


def _place(connection: sqlite3.Connection, entry: int, chat: tuple[str, int, Kind], happened: int) -> int:
    """Return a new entry's place: next to the chat's last entry if both are of one occasion; a fact stands alone."""
    if chat[2] == Kind.DAILY:
        last = connection.execute(
            "SELECT place, happened FROM entry JOIN placed ON placed.entry = entry.id"
            " WHERE session = ? AND entry.scope = ? AND kind = ? AND id < ? ORDER BY id DESC LIMIT 1",
            (*chat, entry),
        ).fetchone()
        if last and abs(happened - last[1]) <= SAME_OCCASION_SECONDS * 1000 and (last[0] + 1) % _PLACES:
            return int(last[0]) + 1
    return entry * _PLACES


def _meet(connection: sqlite3.Connection, entry: int, place: int, told: int) -> int:
    """Add an entry's length to its neighbours' totals, and theirs to its own; return by how much all of them grew."""
    near = (place - NEIGHBOURS, place + NEIGHBOURS, entry)
    others = connection.execute(
        "UPDATE placed SET total = total + ? WHERE place BETWEEN ? AND ? AND entry <> ?", (told, *near)
    ).rowcount
    if told < 0:
        return told * others
    [lent] = connection.execute(
        "SELECT coalesce(sum(told), 0) FROM placed WHERE place BETWEEN ? AND ? AND entry <> ?", near
    ).fetchone()
    connection.execute("UPDATE placed SET total = total + ? WHERE entry = ?", (lent, entry))
    return told * others + int(lent)


def _count(connection: sqlite3.Connection, scope: int, entries: int, words: int) -> None:
    connection.execute(
        "UPDATE scope SET entries = entries + ?, words = words + ? WHERE id = ?", (entries, words, scope)
    )

"""Keeps the index of words true to the entries.

The index holds no word: each stands there as a number that is made from it and from its scope's key, so that one
person's part is found without reading another's, and what is forgotten leaves no word behind. Entries of one occasion
have places side by side; what a neighbour adds to an entry is reckoned when a question is asked, and ends with it.
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
"""A word that stands more often in one entry counts as if it stood there so often."""

_PLACES = 65536
"""The places of one occasion; one with more entries goes on as another."""


_DROPPED = 5000
"""So many entries are taken out at once: what they hold in memory stays below 20 MB."""


@dataclass(frozen=True, slots=True)
class _Words:
    """An entry's words, counted."""

    dated: Counter[Term]
    """Those of its date: its neighbours have the same one."""
    told: Counter[Term]
    asks: bool

    def rows(self, key: bytes) -> dict[int, int]:
        """Return what the index has for each: how often it stands there, how often without the date, and "asks"."""
        return {
            number_of(key, term): min(self.dated[term] + self.told[term], MOST_COUNTED)
            | min(self.told[term], MOST_COUNTED) << 4
            | self.asks << 8
            for term in {*self.dated, *self.told}
        }


def number_of(key: bytes, term: Term) -> int:
    """Return the number by which a scope's index has a word."""
    digest = blake2b("\0".join(term).encode("utf-8", "replace"), digest_size=8, key=key).digest()
    return int.from_bytes(digest, "little", signed=True)


def unpack(told: int) -> tuple[int, int, bool]:
    """Return how often a word stands in an entry, how often without its date, and whether the entry is a question."""
    return told & 15, told >> 4 & 15, bool(told >> 8)


def index_entry(connection: sqlite3.Connection, entry: int) -> None:
    """Put an entry that is not there into the index."""
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
    """Return how many words that is; two characters side by side are none beside each of them."""
    return sum(often for term, often in terms.items() if len(term) == 1)


def index_missing(connection: sqlite3.Connection) -> None:
    """Put all entries in force that are not there into the index."""
    missing = connection.execute(
        "SELECT id FROM entry WHERE superseded_at IS NULL AND id NOT IN (SELECT entry FROM placed) ORDER BY id"
    ).fetchall()
    for (entry,) in missing:
        index_entry(connection, entry)


def drop_words(connection: sqlite3.Connection, entries: Iterable[int]) -> None:
    """Take entries out of the index."""
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
    """Take whole scopes out of the index, some thousand entries at a time."""
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
    """Return a place: behind the chat's last entry where both tell of one occasion; a lasting fact stands alone."""
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
    """Add an entry's length to that of its neighbours, and theirs to its own; return what all grew by."""
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

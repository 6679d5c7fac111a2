"""Stores which senders are one person (`/link`), as proven by a code or stated by the operator.

A sender is CHANNEL:SENDER, and a person by itself until it is linked. A code that was issued to one account and entered
on another links both: it is valid for an hour and for one use, each sender has one at a time, and after too many wrong
codes a sender is locked out for an hour. All of it is on disk before anybody is told. Entering a used code again is
recognised.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from agentd.state.database import Database, format_moment, transaction
from agentd.state.pairings import CODE_LIFE, LOCK_OUT, MOST_WRONG, locked_until, parse_code
from channels.base import Address

__all__ = ["Burnt", "Groups", "People", "Redeemed", "read_groups"]

Groups = Mapping[str, frozenset[str]]
"""For each linked sender, all senders of the person, that one included."""

MOST_TRIES = 8
"""Two random codes are never alike in practice: more tries would not help."""


@dataclass(frozen=True, slots=True)
class Redeemed:
    """The code was right: who is one person now, whose code it was, and where they asked for it."""

    senders: frozenset[str]
    by: str
    place: Address | None
    """None if that is not on record."""
    is_news: bool
    """False if this sender has used the code before."""


@dataclass(frozen=True, slots=True)
class Burnt:
    """The code did nothing: it was the sender's own, invalid, or the sender is locked out."""

    is_own: bool = False
    until: datetime | None = None
    """Until when this sender's codes are refused; None: they are not."""


class People:
    """The links in the database; who is one person is looked up in memory."""

    def __init__(
        self, database: Database, groups: Groups, clock: Callable[[], datetime], new_code: Callable[[], str]
    ) -> None:
        """Begin with what was read from the database."""
        self._database = database
        self._groups = groups
        self._clock = clock
        self._new_code = new_code

    def senders_of(self, sender: str) -> frozenset[str]:
        """Return all senders of a person, given one of them, that one included."""
        return self._groups.get(sender, frozenset((sender,)))

    @property
    def linked(self) -> frozenset[frozenset[str]]:
        """Return the people who have more than one sender."""
        return frozenset(self._groups.values())

    async def link(self, a: str, b: str) -> frozenset[str]:
        """Make one person of two, each with all their senders; return those. Raises StorageError."""
        self._groups = await self._database.run_durably(lambda connection: _link(connection, a, b))
        return self.senders_of(a)

    async def unlink(self, sender: str) -> frozenset[str]:
        """Remove a sender's links; return whom it was linked with. Raises StorageError."""
        left = self.senders_of(sender) - {sender}
        self._groups = await self._database.run_durably(lambda connection: _unlink(connection, sender))
        return left

    async def offer(self, sender: str, place: Address | None = None) -> str:
        """Return a code that links another account with this sender; the same one while it is valid and unused.

        `place` is where the sender is told that it was used. Raises StorageError.
        """
        now = self._clock()
        return await self._database.run_durably(
            lambda connection: _offer(connection, sender, place, self._new_code, now)
        )

    async def redeem(self, sender: str, words: str) -> Redeemed | Burnt:
        """Link a sender with the one to whom this code was issued. Raises StorageError."""
        code, now = parse_code(words), self._clock()
        outcome, groups = await self._database.run_durably(lambda connection: _redeem(connection, sender, code, now))
        self._groups = groups
        return outcome

    async def withdraw(self, words: str) -> None:
        """Invalidate an unused code, which others may have read. Raises StorageError."""
        code = parse_code(words)
        await self._database.run_durably(
            lambda connection: connection.execute("DELETE FROM link_code WHERE code = ? AND used_by IS NULL", [code])
        )

    async def forget(self, senders: frozenset[str]) -> None:
        """Remove the links and codes of these senders; the rest of a group stays linked. Raises StorageError."""
        self._groups = await self._database.run_durably(lambda connection: _forget(connection, senders))


def read_groups(connection: sqlite3.Connection) -> Groups:
    """Read who is linked. Raises sqlite3.Error."""
    people: dict[str, set[str]] = {}
    for sender, person in connection.execute("SELECT sender, person FROM link"):
        people.setdefault(person, set()).add(sender)
    return {sender: frozenset(senders) for senders in people.values() for sender in senders}


def _link(connection: sqlite3.Connection, a: str, b: str) -> Groups:
    with transaction(connection):
        _merge(connection, a, b)
        return read_groups(connection)


def _merge(connection: sqlite3.Connection, a: str, b: str) -> None:
    """Merge two groups under one name, that of the smallest sender in them."""
    groups = read_groups(connection)
    senders = groups.get(a, frozenset((a,))) | groups.get(b, frozenset((b,)))
    if len(senders) > 1:
        _put(connection, senders)


def _put(connection: sqlite3.Connection, senders: Iterable[str]) -> None:
    person = min(senders)
    connection.executemany("INSERT OR REPLACE INTO link VALUES (?, ?)", [(sender, person) for sender in senders])


def _unlink(connection: sqlite3.Connection, sender: str) -> Groups:
    with transaction(connection):
        _leave(connection, frozenset((sender,)))
        return read_groups(connection)


def _leave(connection: sqlite3.Connection, leaving: frozenset[str]) -> None:
    """Remove senders from their groups; a group of one is dissolved."""
    groups = read_groups(connection)
    for group in {groups[sender] for sender in leaving if sender in groups}:
        rest = group - leaving
        connection.executemany("DELETE FROM link WHERE sender = ?", [(sender,) for sender in group])
        if len(rest) > 1:
            _put(connection, rest)


def _forget(connection: sqlite3.Connection, senders: frozenset[str]) -> Groups:
    with transaction(connection):
        _leave(connection, senders)
        for sender in senders:
            connection.execute("DELETE FROM link_code WHERE sender = ? OR used_by = ?", [sender, sender])
            connection.execute("DELETE FROM failed_link WHERE sender = ?", [sender])
        return read_groups(connection)


def _offer(
    connection: sqlite3.Connection, sender: str, place: Address | None, new_code: Callable[[], str], now: datetime
) -> str:
    with transaction(connection):
        connection.execute("DELETE FROM link_code WHERE NOT (expires > ? AND expires <= ?)", _validity(now))
        known = connection.execute(
            "SELECT code FROM link_code WHERE sender = ? AND used_by IS NULL", [sender]
        ).fetchone()
        if known is not None:
            return str(known[0])
        where = [place.account, place.chat, place.thread] if place else [None, None, None]
        code = _unused(connection, new_code)
        connection.execute(
            "INSERT INTO link_code (code, sender, account, chat, thread, expires) VALUES (?, ?, ?, ?, ?, ?)",
            [code, sender, *where, format_moment(now + CODE_LIFE)],
        )
        return code


def _unused(connection: sqlite3.Connection, new_code: Callable[[], str]) -> str:
    for _ in range(MOST_TRIES):
        code = new_code()
        if connection.execute("SELECT 1 FROM link_code WHERE code = ?", [code]).fetchone() is None:
            return code
    raise sqlite3.IntegrityError("no code is free")


def _redeem(connection: sqlite3.Connection, sender: str, code: str, now: datetime) -> tuple[Redeemed | Burnt, Groups]:
    with transaction(connection):
        outcome = _judge(connection, sender, code, now)
        groups = read_groups(connection)
    if isinstance(outcome, Burnt):
        return outcome, groups
    owner, place, is_news = outcome
    return Redeemed(groups.get(sender, frozenset((sender,))), owner, place, is_news), groups


def _judge(
    connection: sqlite3.Connection, sender: str, code: str, now: datetime
) -> tuple[str, Address | None, bool] | Burnt:
    """Apply a code; return whose it was, where they asked for it, and whether this is its first use."""
    until = locked_until(_read_wrong(connection, sender), now)
    if until is not None:
        return Burnt(until=until)
    row = connection.execute(
        "SELECT sender, account, chat, thread, used_by FROM link_code WHERE code = ? AND expires > ? AND expires <= ?",
        [code, *_validity(now)],
    ).fetchone()
    if row is None or row[4] not in (None, sender):
        _note_wrong(connection, sender, now)
        return Burnt()
    owner, account, chat, thread, used_by = row
    if owner == sender:
        return Burnt(is_own=True)
    if used_by is None:
        connection.execute("UPDATE link_code SET used_by = ? WHERE code = ?", [sender, code])
        _merge(connection, owner, sender)
    place = None if chat is None else Address(owner.partition(":")[0], account, chat, thread)
    return owner, place, used_by is None


def _read_wrong(connection: sqlite3.Connection, sender: str) -> list[datetime]:
    rows = connection.execute(
        "SELECT at FROM failed_link WHERE sender = ? ORDER BY number DESC LIMIT ?", [sender, MOST_WRONG]
    )
    return [datetime.fromisoformat(at) for (at,) in rows]


def _note_wrong(connection: sqlite3.Connection, sender: str, now: datetime) -> None:
    connection.execute("INSERT INTO failed_link (sender, at) VALUES (?, ?)", [sender, format_moment(now)])
    connection.execute("DELETE FROM failed_link WHERE at < ?", [format_moment(now - 2 * LOCK_OUT)])


def _validity(now: datetime) -> list[str]:
    """Return the limits between which a valid code expires, so that a clock set back far does not prolong any."""
    return [format_moment(now), format_moment(now + 2 * CODE_LIFE)]

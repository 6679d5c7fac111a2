"""Stores pairings: strangers who wait with a code, people whom the operator approved, and wrong codes.

A stranger's code is valid for an hour, and only a few strangers may wait at a time; after too many wrong codes none is
accepted for an hour (lock-out). All of it is on disk before anybody is told.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from agentd.errors import AgentdError
from agentd.state.database import Database, format_moment, transaction
from channels.base import Address, Author

__all__ = ["Approved", "Entry", "Paired", "Pairings", "locked_until", "make_code", "parse_code", "read_paired"]

ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""Without 0 and O, 1, I and L, since codes are read from one screen and typed on another."""

CODE_CHARACTERS = 8
CODE_LIFE = timedelta(hours=1)
MOST_PENDING = 3
"""Per channel, so that a crowd of strangers cannot hide the one who is expected."""

MOST_WRONG = 5
LOCK_OUT = timedelta(hours=1)
"""How long after `MOST_WRONG` wrong codes none is accepted; also the time within which they count together."""

MOST_NAME_CHARACTERS = 100

Paired = frozenset[tuple[str, str]]
"""Pairs of channel and sender."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A stranger who waits for approval, or an approved person, who has no code."""

    code: str | None
    channel: str
    sender: str
    name: str
    """As its owner wrote it: sanitise it before showing it."""
    expires: str | None
    since: str | None


@dataclass(frozen=True, slots=True)
class Approved:
    """Who was approved, and where they asked."""

    address: Address
    sender: str
    name: str


class Pairings:
    """The pairings in the database; who is paired is looked up in memory."""

    def __init__(
        self, database: Database, paired: Paired, clock: Callable[[], datetime], new_code: Callable[[], str]
    ) -> None:
        """Begin with the approved people that were read from the database."""
        self._database = database
        self._paired = paired
        self._clock = clock
        self._new_code = new_code

    def is_paired(self, channel: str, sender: str) -> bool:
        """Tell whether the operator has approved this person."""
        return (channel, sender) in self._paired

    async def request(self, address: Address, author: Author) -> str | None:
        """Return the code to show to a stranger; None if it was shown already, or too many wait.

        Raises StorageError.
        """
        now = self._clock()
        return await self._database.run_durably(
            lambda connection: _request(connection, address, author, self._new_code, now)
        )

    async def note_shown(self, code: str) -> None:
        """Record that the stranger was shown this code. Raises StorageError."""
        await self._database.run_durably(
            lambda connection: connection.execute("UPDATE pairing SET shown = 1 WHERE code = ?", [code])
        )

    async def approve(self, words: str) -> Approved:
        """Approve the stranger with this code. Raises AgentdError if it is wrong or codes are locked out, and
        StorageError.
        """
        code, now = parse_code(words), self._clock()
        found = await self._database.run_durably(lambda connection: _approve(connection, code, now))
        if isinstance(found, datetime):
            raise AgentdError(f"too many wrong codes: none is taken until {found:%Y-%m-%d %H:%M:%S} UTC")
        if found is None:
            raise AgentdError(
                f"nobody waits with the code {code}: it may be mistyped, older than an hour, or used already; "
                "agentd pair list shows who waits"
            )
        self._paired |= {(found.address.channel, found.sender)}
        return found

    async def revoke(self, channel: str, sender: str) -> bool:
        """Remove an approval, or a waiting code; return whether there was one. Raises StorageError."""
        removed = await self._database.run_durably(lambda connection: _revoke(connection, channel, sender))
        self._paired -= {(channel, sender)}
        return removed

    async def forget(self, senders: frozenset[str]) -> int:
        """Remove everything about these people (CHANNEL:SENDER); return the number of rows. Raises StorageError."""
        whose = [tuple(sender.split(":", 1)) for sender in senders if ":" in sender]
        removed = await self._database.run_durably(
            lambda connection: sum(_revoke_rows(connection, channel, sender) for channel, sender in whose)
        )
        self._paired -= frozenset((channel, sender) for channel, sender in whose)
        return removed

    async def entries(self, *, paired: bool) -> list[Entry]:
        """Return the approved people, or those who wait, oldest first. Raises StorageError."""
        now = self._clock()
        return await self._database.run_durably(_read_approved if paired else lambda found: _read_waiting(found, now))


def make_code() -> str:
    """Return a random code."""
    return "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))


def parse_code(words: str) -> str:
    """Parse a code as people type it: in any case, in groups."""
    return "".join(character for character in words.upper() if character.isalnum())


def locked_until(wrong: Sequence[datetime], now: datetime) -> datetime | None:
    """Return until when codes are locked out, given the times of wrong ones, newest first; None if they are not.

    A clock that was set back far does not lock anybody out for longer.
    """
    if len(wrong) < MOST_WRONG or wrong[0] - wrong[MOST_WRONG - 1] > LOCK_OUT:
        return None
    until = wrong[0] + LOCK_OUT
    return until if now < until <= now + 2 * LOCK_OUT else None


def read_paired(connection: sqlite3.Connection) -> Paired:
    """Read who was approved. Raises sqlite3.Error."""
    return frozenset(connection.execute("SELECT channel, sender FROM paired"))


def _request(
    connection: sqlite3.Connection, address: Address, author: Author, new_code: Callable[[], str], now: datetime
) -> str | None:
    with transaction(connection):
        connection.execute("DELETE FROM pairing WHERE NOT (expires > ? AND expires <= ?)", _validity(now))
        whose = [address.channel, author.id]
        known = connection.execute("SELECT code, shown FROM pairing WHERE channel = ? AND sender = ?", whose).fetchone()
        if known is not None:
            code, shown = known
            return None if shown else str(code)
        [waiting] = connection.execute("SELECT count(*) FROM pairing WHERE channel = ?", whose[:1]).fetchone()
        if waiting >= MOST_PENDING:
            return None
        code = new_code()
        place = [address.account, address.chat, address.thread]
        life = [format_moment(now), format_moment(now + CODE_LIFE)]
        connection.execute(
            "INSERT INTO pairing (channel, sender, name, account, chat, thread, code, created, expires) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [*whose, _name_of(author), *place, code, *life],
        )
    return code


def _approve(connection: sqlite3.Connection, code: str, now: datetime) -> Approved | datetime | None:
    """Return who was approved; None if the code is wrong; a time if codes are locked out until then."""
    with transaction(connection):
        until = locked_until(_read_wrong(connection), now)
        if until is not None:
            return until
        row = connection.execute(
            "SELECT channel, account, chat, thread, sender, name FROM pairing "
            "WHERE code = ? AND expires > ? AND expires <= ?",
            [code, *_validity(now)],
        ).fetchone()
        if row is None:
            _note_wrong(connection, now)
            return None
        channel, account, chat, thread, sender, name = row
        connection.execute("DELETE FROM pairing WHERE code = ?", [code])
        connection.execute(
            "INSERT OR REPLACE INTO paired VALUES (?, ?, ?, ?)", [channel, sender, name, format_moment(now)]
        )
    return Approved(Address(channel, account, chat, thread), sender, name)


def _revoke(connection: sqlite3.Connection, channel: str, sender: str) -> bool:
    return _revoke_rows(connection, channel, sender) > 0


def _revoke_rows(connection: sqlite3.Connection, channel: str, sender: str) -> int:
    with transaction(connection):
        whose = [channel, sender]
        removed = connection.execute("DELETE FROM paired WHERE channel = ? AND sender = ?", whose).rowcount
        removed += connection.execute("DELETE FROM pairing WHERE channel = ? AND sender = ?", whose).rowcount
    return removed


def _read_wrong(connection: sqlite3.Connection) -> list[datetime]:
    rows = connection.execute("SELECT at FROM failed_approval ORDER BY number DESC LIMIT ?", [MOST_WRONG])
    return [datetime.fromisoformat(at) for (at,) in rows]


def _note_wrong(connection: sqlite3.Connection, now: datetime) -> None:
    connection.execute("INSERT INTO failed_approval (at) VALUES (?)", [format_moment(now)])
    connection.execute(
        "DELETE FROM failed_approval WHERE number <= (SELECT max(number) FROM failed_approval) - ?", [MOST_WRONG]
    )


def _read_waiting(connection: sqlite3.Connection, now: datetime) -> list[Entry]:
    rows = connection.execute(
        "SELECT code, channel, sender, name, expires FROM pairing WHERE expires > ? AND expires <= ? "
        "ORDER BY expires, channel, sender",
        _validity(now),
    )
    return [Entry(code, channel, sender, name, expires, None) for code, channel, sender, name, expires in rows]


def _read_approved(connection: sqlite3.Connection) -> list[Entry]:
    rows = connection.execute("SELECT channel, sender, name, since FROM paired ORDER BY since, channel, sender")
    return [Entry(None, channel, sender, name, None, since) for channel, sender, name, since in rows]


def _validity(now: datetime) -> list[str]:
    """Return the limits between which a valid code expires, so that a clock set back far does not prolong any."""
    return [format_moment(now), format_moment(now + 2 * CODE_LIFE)]


def _name_of(author: Author) -> str:
    """Return the person's name for the operator, from what the platform gives: display name and @name, shortened."""
    name = f"{author.name} (@{author.username})" if author.username else author.name
    return name[:MOST_NAME_CHARACTERS].encode("utf-8", "replace").decode()

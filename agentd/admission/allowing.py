"""Parses a channel's allow list (`allowed_users`), and tells who is on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from channels.base import Author

__all__ = ["AllowList", "parse_allowed"]

EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class AllowList:
    """The people that the configuration lets in; empty means nobody."""

    ids: frozenset[str] = frozenset()
    usernames: frozenset[str] = frozenset()
    """Without the @ and casefolded: platforms do not distinguish `@Ada` from `@ada`."""
    everyone: bool = False

    def admits(self, author: Author) -> bool:
        """Tell whether this person is on the list."""
        named = bool(author.username) and author.username.casefold() in self.usernames
        return self.everyone or named or author.id in self.ids


def parse_allowed(entries: Iterable[str]) -> AllowList:
    """Parse a list of ids, @names, and `*` for everyone; a name without its @ is taken as an id, and matches nobody."""
    entries = tuple(entry.strip() for entry in entries)
    names = frozenset(entry[1:].casefold() for entry in entries if entry.startswith("@"))
    return AllowList(frozenset(entries) - {EVERYONE}, names - {""}, EVERYONE in entries)

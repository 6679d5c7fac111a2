"""People's names, asked for once. A message does not wait long for them: who wrote it is known by id."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from channels.base import Author
from channels.errors import ChannelError, SendFailed
from channels.slack.connection import Connection
from channels.slack.files import whole
from channels.slack.waits import Waits

__all__ = ["People"]

log = structlog.get_logger()

MOST_PEOPLE = 5_000
"""Remembered; the oldest are forgotten first, which costs a call."""

MOST_ASKED = 5
"""Names that a message waits for; further people in it go by their ids."""

RETRY_SECONDS = 600
"""Until somebody whose name was not to be had is asked for again."""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    username: str
    until: float | None = None


class People:
    """The names of a workspace's people."""

    def __init__(self, connection: Connection, allowed: Collection[str], waits: Waits) -> None:
        """`allowed` is who may talk: only where that names somebody by `@name` is a name needed."""
        self._connection = connection
        self._needs_names = any(entry.strip().startswith("@") for entry in allowed)
        self._ids = frozenset(entry.strip() for entry in allowed)
        self._waits = waits
        self._known: dict[str, _Known] = {}

    async def author(self, user: str, name: str = "") -> Author:
        """Return who that is. Raises Unreachable where the name decides whether they may talk, and cannot be had now.

        `name` is what is shown where Slack cannot be asked.
        """
        if self._needs_names and user not in self._ids and self._fresh(user) is None:
            await self._ask(user)
        else:
            await self.learn([user])
        known = self._known.get(user)
        return Author(user, (known.name if known else "") or name or user, known.username if known else "")

    async def learn(self, users: Iterable[str]) -> Mapping[str, str]:
        """Return the names of these people, as far as they can be had in a short time."""
        users = list(users)
        missing = [user for user in users if self._fresh(user) is None][:MOST_ASKED]
        if missing:
            try:
                async with asyncio.timeout(self._waits.name_seconds), asyncio.TaskGroup() as tasks:
                    for user in missing:
                        tasks.create_task(self._try(user), name=f"slack name {user}")
            except TimeoutError:
                self._give_up(missing)
        return {user: self._known[user].name for user in users if user in self._known and self._known[user].name}

    def _fresh(self, user: str) -> _Known | None:
        known = self._known.get(user)
        return known if known and (known.until is None or known.until > self._now()) else None

    async def _try(self, user: str) -> None:
        try:
            await self._ask(user)
        except ChannelError as fault:
            self._give_up([user])
            log.info("name_not_known", channel="slack", fault=str(fault))

    async def _ask(self, user: str) -> None:
        """Ask for one name. Raises Unreachable; who is unknown to Slack has none."""
        try:
            answer = await self._connection.call(lambda client: client.users_info(user=user))
        except SendFailed as fault:
            self._give_up([user])
            log.info("name_not_known", channel="slack", fault=str(fault))
            return
        found = answer.get("user")
        self._keep(user, _read(found if isinstance(found, dict) else {}))

    def _give_up(self, users: Iterable[str]) -> None:
        for user in users:
            if self._fresh(user) is None:
                known = self._known.get(user)
                kept = (known.name, known.username) if known else ("", "")
                self._keep(user, _Known(*kept, until=self._now() + RETRY_SECONDS))

    def _keep(self, user: str, known: _Known) -> None:
        self._known.pop(user, None)
        self._known[user] = known
        if len(self._known) > MOST_PEOPLE:
            del self._known[next(iter(self._known))]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _read(user: Mapping[str, Any]) -> _Known:
    profile = user.get("profile")
    told = profile if isinstance(profile, dict) else {}
    names = (told.get("display_name"), told.get("real_name"), user.get("real_name"), user.get("name"))
    shown = next((name for name in names if isinstance(name, str) and name.strip()), "")
    username = user.get("name")
    return _Known(whole(shown), whole(username) if isinstance(username, str) else "")

"""This module looks up people's names at Slack and remembers them; a message waits only briefly for a name."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from channels.base import Author
from channels.errors import ChannelError, SendFailed, Unreachable
from channels.slack.connection import Connection
from channels.slack.files import whole
from channels.slack.waits import Waits

__all__ = ["People"]

log = structlog.get_logger()

MOST_PEOPLE = 5_000
"""How many are remembered; the oldest are forgotten first, which costs a call."""

MOST_ASKED = 5
"""How many names a message waits for; further people in it go by their ids."""

RETRY_SECONDS = 600
"""The pause until a name that could not be had is asked for again."""


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    username: str
    until: float | None = None
    is_told: bool = True
    """Whether Slack has answered; False: this stands in for an answer that did not come in time."""


class People:
    """Looks up the names of a workspace's people."""

    def __init__(self, connection: Connection, team: str, allowed: Collection[str], waits: Waits) -> None:
        """Prepare; only if `allowed`, the allow list, has an `@name` must a name be known before its message."""
        self._connection = connection
        self._team = team
        self._needs_names = any(entry.strip().startswith("@") for entry in allowed)
        self._ids = frozenset(entry.strip() for entry in allowed)
        self._waits = waits
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Event] = {}

    async def author(self, user: str, name: str = "") -> Author:
        """Return a user as an author. Raises Unreachable if the allow list needs the name and it cannot be had now.

        `name` is shown if Slack does not tell a name in time.
        """
        if self._needs_names and user not in self._ids:
            if not self._is_told(user):
                await self._ask(user)
            if not self._is_told(user):
                raise Unreachable("a name could not be asked for")
        else:
            await self.learn([user])
        known = self._known.get(user)
        return Author(user, (known.name if known else "") or name or user, known.username if known else "")

    async def learn(self, users: Iterable[str]) -> Mapping[str, str]:
        """Return the names of these users, as far as Slack tells them within `name_seconds`."""
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

    def _is_told(self, user: str) -> bool:
        known = self._fresh(user)
        return known is not None and known.is_told

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
        """Ask for one name, one call at a time for each user. Raises Unreachable; a user unknown to Slack has none."""
        if user in self._asking:
            await self._asking[user].wait()
            return
        answered = self._asking[user] = asyncio.Event()
        try:
            await self._call(user)
        finally:
            del self._asking[user]
            answered.set()

    async def _call(self, user: str) -> None:
        try:
            answer = await self._connection.call(lambda client: client.users_info(user=user))
        except SendFailed as fault:
            self._give_up([user], is_told=True)
            log.info("name_not_known", channel="slack", fault=str(fault))
            return
        found = answer.get("user")
        self._keep(user, _read(found if isinstance(found, dict) else {}, self._team))

    def _give_up(self, users: Iterable[str], *, is_told: bool = False) -> None:
        for user in users:
            if self._fresh(user) is None or (is_told and not self._is_told(user)):
                known = self._known.get(user)
                kept = (known.name, known.username) if known else ("", "")
                self._keep(user, _Known(*kept, until=self._now() + RETRY_SECONDS, is_told=is_told))

    def _keep(self, user: str, known: _Known) -> None:
        self._known.pop(user, None)
        self._known[user] = known
        if len(self._known) > MOST_PEOPLE:
            del self._known[next(iter(self._known))]

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _read(user: Mapping[str, Any], team: str) -> _Known:
    """Parse a user; the @name counts only in the user's own workspace (Slack Connect brings people of others)."""
    profile = user.get("profile")
    told = profile if isinstance(profile, dict) else {}
    names = (told.get("display_name"), told.get("real_name"), user.get("real_name"), user.get("name"))
    shown = next((name for name in names if isinstance(name, str) and name.strip()), "")
    username = user.get("name") if team in _teams(user) else ""
    return _Known(whole(shown), whole(username) if isinstance(username, str) else "")


def _teams(user: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a user's workspaces: their own, and those of their organisation (Enterprise Grid)."""
    enterprise = user.get("enterprise_user")
    teams = enterprise.get("teams") if isinstance(enterprise, dict) else None
    return (user.get("team_id"), *(teams if isinstance(teams, list) else ()))

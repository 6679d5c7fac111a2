"""People's names, asked for once. A message does not wait long for them: who wrote it is known by id."""

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
    is_told: bool = True
    """Whether that is Slack's word, and not what stands for one that was not to be had in time."""


class People:
    """The names of a workspace's people."""

    def __init__(self, connection: Connection, team: str, allowed: Collection[str], waits: Waits) -> None:
        """`allowed` is who may talk: only where that names somebody by `@name` is a name needed."""
        self._connection = connection
        self._team = team
        self._needs_names = any(entry.strip().startswith("@") for entry in allowed)
        self._ids = frozenset(entry.strip() for entry in allowed)
        self._waits = waits
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Event] = {}

    async def author(self, user: str, name: str = "") -> Author:
        """Return who that is. Raises Unreachable where the name decides whether they may talk, and cannot be had now.

        `name` is what is shown where Slack cannot be asked.
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
        """Ask for one name, once at a time. Raises Unreachable; who is unknown to Slack has none."""
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
    """Read a user; an @name says who that is in its own workspace only (Slack Connect brings others' people)."""
    profile = user.get("profile")
    told = profile if isinstance(profile, dict) else {}
    names = (told.get("display_name"), told.get("real_name"), user.get("real_name"), user.get("name"))
    shown = next((name for name in names if isinstance(name, str) and name.strip()), "")
    username = user.get("name") if team in _teams(user) else ""
    return _Known(whole(shown), whole(username) if isinstance(username, str) else "")


def _teams(user: Mapping[str, Any]) -> tuple[object, ...]:
    """Return a user's workspaces: the own, and those of an organisation (Enterprise Grid)."""
    enterprise = user.get("enterprise_user")
    teams = enterprise.get("teams") if isinstance(enterprise, dict) else None
    return (user.get("team_id"), *(teams if isinstance(teams, list) else ()))

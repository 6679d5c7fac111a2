"""This module is the queue of updates, from which one poller at a time takes."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.platforms.botapi.answers import Outside, Refused
from tests.platforms.botapi.description import UPDATE_KINDS, check_update

NOT_UNASKED: Final = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Kinds that come only when they are asked for (https://core.telegram.org/bots/api#getupdates)."""
LONGEST_POLL_SECONDS: Final = 50
FARTHEST_AHEAD: Final = 10
"""An offset beyond the next id by more than this is taken for none."""

OTHER_POLL: Final = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"
WEBHOOK_IS_SET: Final = (
    "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
)


class UpdateQueue:
    """Updates that wait to be confirmed."""

    def __init__(self) -> None:
        """Begin with none."""
        self.webhook = ""
        """The address that updates go to; while there is one, nobody can poll."""
        self.allowed = UPDATE_KINDS - NOT_UNASKED
        self._updates: list[dict[str, Any]] = []
        self._next_id = 500_001
        self._arrived = asyncio.Event()
        self._poller: asyncio.Future[object] | None = None

    @property
    def unconfirmed(self) -> list[int]:
        """Return the ids of the updates that come again."""
        return [update["update_id"] for update in self._updates]

    def push(self, kind: str, content: Mapping[str, Any]) -> int | None:
        """Queue an update of a kind, and return its id, or None if the bot has not asked for the kind."""
        update = {"update_id": self._next_id, kind: dict(content)}
        check_update(update)
        return self.push_raw(update) if kind in self.allowed else None

    def push_raw(self, update: Mapping[str, Any]) -> int:
        """Queue an update just as it is, however wrong, and return its id, which it gets if it has none."""
        update_id = int(update.get("update_id", self._next_id))
        self._updates.append({"update_id": update_id, **update})
        self._next_id = update_id + 1
        self._arrived.set()
        return update_id

    def restart_ids(self, at: int) -> None:
        """Count updates from here on: after a week without any, the server begins anew at a random number."""
        self._next_id = at

    def allow(self, kinds: Sequence[str] | None) -> None:
        """Take note of what kinds the bot asks for; none at all means the usual ones. Raises Outside."""
        if kinds is None:
            return
        if unknown := [kind for kind in kinds if kind not in UPDATE_KINDS]:
            raise Outside(400, f"Bad Request: there are no updates of the kind {unknown[0]}")
        self.allowed = frozenset(kinds) or UPDATE_KINDS - NOT_UNASKED

    def confirm(self, offset: int) -> None:
        """Forget the updates before this one; a negative offset keeps so many of the last."""
        if offset < 0:
            self._updates = self._updates[offset:]
        elif self.confirms(offset):
            self._updates = [update for update in self._updates if update["update_id"] >= offset]

    def drop(self) -> None:
        """Forget all that wait."""
        self._updates = []

    def confirms(self, offset: int) -> bool:
        """Tell whether this offset confirms anything."""
        return offset <= self._next_id + FARTHEST_AHEAD and any(known < offset for known in self.unconfirmed)

    async def poll(self, offset: int, limit: int, timeout_seconds: int) -> list[dict[str, Any]]:
        """Confirm, and return what waits, or what comes within the time; raises Refused."""
        if self.webhook:
            raise Refused(409, WEBHOOK_IS_SET)
        self.confirm(offset)
        timeout_seconds = min(max(timeout_seconds, 0), LONGEST_POLL_SECONDS)
        if not self._updates and timeout_seconds:
            await self._wait(timeout_seconds)
        return self._updates[: min(max(limit, 1), 100)]

    def end_poll(self, words: str = OTHER_POLL) -> None:
        """Refuse the poll that waits, if one does."""
        if self._poller is not None and not self._poller.done():
            self._poller.set_result(words)

    async def _wait(self, timeout_seconds: int) -> None:
        self.end_poll()
        poller = self._poller = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(timeout_seconds):
                while not self._updates:
                    self._arrived.clear()
                    await self._wait_for_update(poller)
        except TimeoutError:
            return

    async def _wait_for_update(self, poller: asyncio.Future[object]) -> None:
        async with asyncio.TaskGroup() as tasks:
            arrived: asyncio.Task[object] = tasks.create_task(self._arrived.wait(), name="update")
            await asyncio.wait((arrived, poller), return_when=asyncio.FIRST_COMPLETED)
            arrived.cancel()
        if poller.done():
            raise Refused(409, str(poller.result()))

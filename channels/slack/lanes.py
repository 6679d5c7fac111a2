"""This module queues what comes in by place: a lane works in order, and lanes do not wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from channels.base import Address

__all__ = ["Lanes"]

MOST_LEFT_OUT = 10_000
"""How many places are remembered as having found no room; further ones are caught up on with any of these."""

Work = Callable[[], Awaitable[None]]


class Lanes:
    """Runs one lane, which is a task, for each place of which something waits."""

    def __init__(self, tasks: asyncio.TaskGroup, most_waiting: int, most_in_place: int) -> None:
        """Run lanes on `tasks`; at most `most_waiting` may wait in all of them together, `most_in_place` in one."""
        self._tasks = tasks
        self._most_waiting = most_waiting
        self._most_in_place = most_in_place
        self._lanes: dict[Address, list[Work]] = {}
        self._waiting = 0
        self._left_out: set[Address] = set()

    def is_full(self, place: Address) -> bool:
        """Tell whether nothing more may be queued for a place."""
        return self._waiting >= self._most_waiting or self._in(place) >= self._most_in_place

    def is_busy(self, place: Address) -> bool:
        """Tell whether something is in progress for a place, so that what is queued has to wait."""
        return place in self._lanes

    def leave_out(self, place: Address) -> None:
        """Note that something of a place found no room."""
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.add(place)

    def readmit(self) -> bool:
        """Tell whether any place that had to leave something out has room again; each is reported once."""
        if not self._left_out or self._waiting > self._most_waiting // 2:
            return False
        have_room = {place for place in self._left_out if self._in(place) <= self._most_in_place // 2}
        self._left_out -= have_room
        return bool(have_room)

    def _in(self, place: Address) -> int:
        return len(self._lanes.get(place, ()))

    def put(self, place: Address, work: Work) -> None:
        """Queue work behind what came before it in its place."""
        self._waiting += 1
        lane = self._lanes.setdefault(place, [])
        lane.append(work)
        if len(lane) == 1:
            self._tasks.create_task(self._run(place, lane), name=f"slack place {place.chat} {place.thread or ''}")

    async def _run(self, place: Address, lane: list[Work]) -> None:
        while lane:
            await lane[0]()
            # There is no await from here on, so that nothing can be put into a lane that has ended.
            del lane[0]
            self._waiting -= 1
            if not lane:
                del self._lanes[place]

"""What came in is dealt with one at a time for each place, in order; places do not wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from channels.base import Address

__all__ = ["Lanes"]

MOST_LEFT_OUT = 10_000
"""Places that are remembered to have found no room; further ones are asked for with any of them."""

Work = Callable[[], Awaitable[None]]


class Lanes:
    """One lane for each place of which something is in progress; a lane is a task."""

    def __init__(self, tasks: asyncio.TaskGroup, most_waiting: int, most_in_place: int) -> None:
        """Run on `tasks`; no more than `most_waiting` should wait in all lanes together, `most_in_place` in one."""
        self._tasks = tasks
        self._most_waiting = most_waiting
        self._most_in_place = most_in_place
        self._lanes: dict[Address, list[Work]] = {}
        self._waiting = 0
        self._left_out: set[Address] = set()

    def is_full(self, place: Address) -> bool:
        """Tell whether no more should be put in for a place."""
        return self._waiting >= self._most_waiting or self._in(place) >= self._most_in_place

    def is_busy(self, place: Address) -> bool:
        """Tell whether what is put in for a place has to wait for something there."""
        return place in self._lanes

    def leave_out(self, place: Address) -> None:
        """Note that something of a place found no room."""
        if len(self._left_out) < MOST_LEFT_OUT:
            self._left_out.add(place)

    def readmit(self) -> bool:
        """Tell whether a place that something was left out of has room again, for as much as it may have; once."""
        if not self._left_out or self._waiting > self._most_waiting // 2:
            return False
        have_room = {place for place in self._left_out if self._in(place) <= self._most_in_place // 2}
        self._left_out -= have_room
        return bool(have_room)

    def _in(self, place: Address) -> int:
        return len(self._lanes.get(place, ()))

    def put(self, place: Address, work: Work) -> None:
        """Do this after what came before it in its place."""
        self._waiting += 1
        lane = self._lanes.setdefault(place, [])
        lane.append(work)
        if len(lane) == 1:
            self._tasks.create_task(self._run(place, lane), name=f"slack place {place.chat} {place.thread or ''}")

    async def _run(self, place: Address, lane: list[Work]) -> None:
        while lane:
            await lane[0]()
            # No await from here on: nobody can find a lane that has ended.
            del lane[0]
            self._waiting -= 1
            if not lane:
                del self._lanes[place]

"""What came in is dealt with one at a time for each place, in order; places do not wait for each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from channels.base import Address

__all__ = ["MOST_WAITING", "Lanes"]

MOST_WAITING = 2_000
"""In all lanes together. What comes beyond that is not taken, so that Slack delivers it again."""

Work = Callable[[], Awaitable[None]]


class Lanes:
    """One lane for each place of which something is in progress; a lane is a task."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        """Run on `tasks`."""
        self._tasks = tasks
        self._lanes: dict[Address, list[Work]] = {}
        self._waiting = 0

    @property
    def are_full(self) -> bool:
        """Tell whether no more should be put in."""
        return self._waiting >= MOST_WAITING

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

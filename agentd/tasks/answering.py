"""`agentd tasks` while the daemon runs: it has the queue's file open, and answers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict

import msgspec
import structlog

from agentd.service.control import Caller, Handler
from agentd.tasks.queue import TaskQueue

__all__ = ["Answering", "say_retried"]

log = structlog.get_logger()


class _List(msgspec.Struct):
    dead: bool


class _Retry(msgspec.Struct):
    id: int


class Answering:
    """Answers the command line."""

    def __init__(self, queue: TaskQueue) -> None:
        """Tell of this queue."""
        self._queue = queue

    @property
    def handlers(self) -> dict[str, Handler]:
        """Return the commands by their names on the control socket."""
        return {"tasks list": self._list, "tasks retry": self._retry}

    async def _list(self, request: Mapping[str, object], caller: Caller) -> int:
        for entry in await self._queue.entries(dead=msgspec.convert(request, _List).dead):
            await caller.say(json.dumps(asdict(entry)))
        return 0

    async def _retry(self, request: Mapping[str, object], caller: Caller) -> int:
        number = msgspec.convert(request, _Retry).id
        await self._queue.retry(number)
        log.info("task_revived", id=number)
        await caller.say(say_retried(number))
        return 0


def say_retried(number: int) -> str:
    """Say to the operator what happens to the task."""
    return f"Task {number} is tried again, from its first attempt on."

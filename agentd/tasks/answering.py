"""Answers `agentd tasks` in a running daemon, which has the queue's file open."""

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
    """Serves the commands `tasks list` and `tasks retry` on the control socket."""

    def __init__(self, queue: TaskQueue) -> None:
        """Answer about this queue."""
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
    """Return what the operator is told about a task that is retried."""
    return f"Task {number} is tried again, from its first attempt on."

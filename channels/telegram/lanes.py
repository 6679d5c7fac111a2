"""What came in is handed over: one at a time for each chat, in order; chats do not wait for each other.

What was not accepted is offered again, after a while that grows, and keeps its place. Its sender is told once, until
something of that chat is accepted again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import structlog

from channels.base import Accept, Address, Inbound, InboundMove
from channels.errors import NotAccepted
from channels.telegram.waits import Waits

__all__ = ["Lanes"]

log = structlog.get_logger()

TRIES_AGAIN = "I try again by myself: there is no need to send it once more."

Tell = Callable[[Address, str], Awaitable[None]]
"""Shows someone a sentence, or logs why that failed."""


class Lanes:
    """One lane for each chat of which something is in progress; a lane is a task."""

    def __init__(self, tasks: asyncio.TaskGroup, accept: Accept, tell: Tell, waits: Waits) -> None:
        """Hand over to `accept`."""
        self._tasks = tasks
        self._accept = accept
        self._tell = tell
        self._waits = waits
        # Bounded by what Telegram gives in one answer: it holds back the rest until the first of these is done.
        self._lanes: dict[str, list[tuple[Inbound, Callable[[], None]]]] = {}
        self._refusals: dict[str, str] = {}

    @property
    def refusal(self) -> str:
        """Why something was not accepted the last time it was offered; empty: nothing waits for that."""
        return next(iter(self._refusals.values()), "")

    @property
    def are_stuck(self) -> bool:
        """Tell whether nothing at all was accepted the last time it was offered; one chat alone tells nothing."""
        return 1 < len(self._refusals) == len(self._lanes)

    def put(self, chat: str, inbound: Inbound, done: Callable[[], None]) -> None:
        """Hand over after what came before it in its chat; `done` is called when it is accepted."""
        lane = self._lanes.setdefault(chat, [])
        lane.append((inbound, done))
        if len(lane) == 1:
            self._tasks.create_task(self._run(chat, lane), name=f"telegram chat {chat}")

    async def _run(self, chat: str, lane: list[tuple[Inbound, Callable[[], None]]]) -> None:
        while lane:
            inbound, done = lane[0]
            await self._offer(chat, inbound)
            # No await from here on: nobody can find a lane that has ended.
            del lane[0]
            if not lane:
                del self._lanes[chat]
            done()

    async def _offer(self, chat: str, inbound: Inbound) -> None:
        for tries in count():
            try:
                await self._accept(inbound)
            except NotAccepted as fault:
                is_first = chat not in self._refusals
                self._refusals[chat] = str(fault)
                log.warning("message_not_accepted", channel="telegram", fault=str(fault))
                if is_first and not isinstance(inbound, InboundMove):
                    await self._tell(inbound.address, f"{fault} {TRIES_AGAIN}")
            else:
                self._refusals.pop(chat, None)
                return
            await asyncio.sleep(self._waits.refused.after(tries))

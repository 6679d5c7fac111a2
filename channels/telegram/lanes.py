"""This module offers what came in to the daemon in one lane a chat: in order, and without waiting for other chats.

What was not accepted is retried with a growing pause, and keeps its place in the lane. Its sender is told once, until
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
"""Sends a sentence to an address, or logs why that failed."""


class Lanes:
    """Runs one lane, which is a task, for each chat of which something waits."""

    def __init__(self, tasks: asyncio.TaskGroup, accept: Accept, tell: Tell, waits: Waits) -> None:
        """Offer to `accept`; explain by `tell` why something is not kept yet."""
        self._tasks = tasks
        self._accept = accept
        self._tell = tell
        self._waits = waits
        # Bounded by one answer of Telegram's: it holds back further updates until the first of these is confirmed.
        self._lanes: dict[str, list[tuple[Inbound, Callable[[], None]]]] = {}
        self._refusals: dict[str, str] = {}

    @property
    def refusal(self) -> str:
        """Why something that waits was not accepted when it was last offered; empty: nothing waits."""
        return next(iter(self._refusals.values()), "")

    @property
    def are_stuck(self) -> bool:
        """Whether every lane, of two or more, had its last offer refused; one chat alone tells nothing."""
        return 1 < len(self._refusals) == len(self._lanes)

    def put(self, chat: str, inbound: Inbound, done: Callable[[], None]) -> None:
        """Queue behind what came before it in its chat; `done` is called once it is accepted."""
        lane = self._lanes.setdefault(chat, [])
        lane.append((inbound, done))
        if len(lane) == 1:
            self._tasks.create_task(self._run(chat, lane), name=f"telegram chat {chat}")

    async def _run(self, chat: str, lane: list[tuple[Inbound, Callable[[], None]]]) -> None:
        while lane:
            inbound, done = lane[0]
            await self._offer(chat, inbound)
            # There is no await from here on, so that nothing can be put into a lane that has ended.
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

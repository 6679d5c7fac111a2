"""These tests check that replies do not wait for hanging consolidations, and are on disk before those begin."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from agentd.conversation.remembrance import Remembrance
from agentd.tasks.exchanges import parse_exchange
from agentd.tasks.queue import Order
from memory.settings import MemorySettings
from memory.store_memory import InMemoryMemory
from tests.fakes.queue import FakeQueue
from tests.flow.bot import open_bot
from tests.flow.stage import START, Run, rehearsed, until
from tests.platforms.clerk_server import ClerkServer

CHATS = range(11, 21)
AT_ONCE = 4
"""So many tasks are done at once (`tasks.concurrency`)."""


@dataclass
class WitnessQueue(FakeQueue):
    """Looks, for each exchange that it is given, at what is on disk of it."""

    records: Callable[[], list[dict[str, Any]]] = list
    seen: list[tuple[int, bool]] = field(default_factory=list)
    """The exchange's last message, and whether its reply was on disk."""

    def __post_init__(self) -> None:
        """Begin empty."""
        super().__init__()

    async def defer(self, order: Order) -> bool:
        """Keep a task."""
        last = parse_exchange(order.args).last
        answered = {seq for record in self.records() for seq in record.get("answers", ())}
        self.seen.append((last, last in answered))
        return await super().defer(order)

    def has_seen(self, count: int) -> bool:
        """Tell whether it was given so many."""
        return len(self.seen) == count


async def test_ten_people_get_their_answers_while_as_many_consolidations_as_may_run_hang(tmp_path: Path) -> None:
    clerk = ClerkServer()
    clerk.gate = asyncio.Event()
    async with clerk, open_bot(tmp_path) as bot, bot.run(config(clerk)):
        for chat in CHATS[:AT_ONCE]:
            bot.telegram.post(asked(chat), chat=chat, sender=chat)
        await bot.until(lambda: len(clerk.asked_of) == AT_ONCE)
        for chat in CHATS:
            bot.telegram.post(asked(chat, "again"), chat=chat, sender=chat)
        await bot.settled(AT_ONCE + len(CHATS))
        shown = [bot.telegram.screen(chat)[-1].text for chat in CHATS]
        hanging = len(clerk.asked_of)
        clerk.gate.set()
        await bot.until(lambda: len(clerk.asked_of) == AT_ONCE + len(CHATS))

    assert shown == [f"You said: {asked(chat, 'again')}" for chat in CHATS]
    assert hanging == AT_ONCE
    assert sorted(clerk.asked_of) == sorted(
        [*(asked(chat) for chat in CHATS[:AT_ONCE]), *(asked(chat, "again") for chat in CHATS)]
    )


async def test_a_reply_is_on_disk_before_its_exchange_is_queued(tmp_path: Path) -> None:
    queue = WitnessQueue()
    memory = Remembrance(InMemoryMemory(lambda: START), queue, lambda person: frozenset({person}), MemorySettings())
    async with rehearsed(Run(tmp_path, memory=memory)) as stage:
        queue.records = stage.records
        for number in range(1, 6):
            await stage.say(f"This is the message with the number {number}.")
            await until(partial(queue.has_seen, number))
        asked_at = [record["seq"] for record in stage.records() if record.get("role") == "user"]

    assert queue.seen == [(seq, True) for seq in asked_at]


def asked(chat: int, more: str = "") -> str:
    return f"Is there a boat to island number {chat} today? {more}".strip()


def config(clerk: ClerkServer) -> str:
    return (
        f"[memory]\nenabled = true\n[tasks]\nconcurrency = {AT_ONCE}\n"
        f'[provider.background]\nkind = "openai"\nbase_url = "{clerk.base_url}"\nmodel = "clerk"\n'
    )

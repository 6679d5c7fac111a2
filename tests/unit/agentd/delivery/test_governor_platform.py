"""These tests run twenty chats for three simulated minutes against a platform that enforces its rate limits.

The budget is asked by real replies, and judged by what the platform let through.
"""

from __future__ import annotations

import asyncio
from itertools import count
from random import Random

import pytest

from agentd.delivery.governor import Governor
from agentd.delivery.reply import Destination, Reply
from channels.base import Address
from channels.errors import RateLimited
from channels.markup.rich import RichText
from channels.telegram.channel import RATES
from tests.fakes.channel import FakeChannel
from tests.platforms.botapi.answers import Refused
from tests.platforms.botapi.budget import late_seconds
from tests.platforms.botapi.history import Effect
from tests.platforms.botapi.limits import Governor as Judge
from tests.platforms.botapi.limits import Limits
from tests.unit.agentd.delivery.test_reply import MemoryJournal
from tests.unit.agentd.delivery.timeless import play

CHATS = [*range(1, 13), *range(-8, 0)]
PLAY_SECONDS = 180
ACCEPTED_SECONDS = 2.0


class Platform(FakeChannel):
    """Telegram behind a network whose ways take a while, not always the same."""

    def __init__(self, burst: int, dice: Random) -> None:
        super().__init__()
        self.limits = Limits(chat_burst=burst, clock=asyncio.get_running_loop().time)
        self.judge = Judge(self.limits)
        self.effects: list[Effect] = []
        self.refused = 0
        self._dice = dice

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        await self._admit(to, "sendMessage", text)
        return await super().send(to, text, nonce)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        await self._admit(to, "editMessageText", text)
        await super().edit(to, message_id, text)

    async def _admit(self, to: Address, method: str, text: RichText) -> None:
        await asyncio.sleep(self._dice.uniform(0.02, 0.08))
        try:
            self.judge.admit(to.chat)
        except Refused as refused:
            self.refused += 1
            await asyncio.sleep(self._dice.uniform(0.02, 0.08))
            raise RateLimited(refused.description, float(refused.retry_after or 0)) from refused
        self.effects.append(Effect(self.limits.clock(), method, 0, text.text, int(to.chat)))
        await asyncio.sleep(self._dice.uniform(0.02, 0.08))


class FlushingJournal(MemoryJournal):
    """One whose records take as long as a flush of a disk."""

    async def sending(self, part: int) -> None:
        await asyncio.sleep(0.002)
        await super().sending(part)


class Talk:
    """One chat, with a model that says long and short things with pauses in between."""

    def __init__(self, chat: int, platform: Platform, governor: Governor, dice: Random) -> None:
        self.chat = chat
        self.late: list[float] = []
        self._to = Destination(platform, Address("fake", "bot", str(chat)), governor, grows=True)
        self._platform = platform
        self._dice = dice
        self._clock = platform.limits.clock

    async def run(self) -> None:
        end = self._clock() + PLAY_SECONDS
        for number in count():
            if self._clock() >= end:
                return
            await self._answer(number)
            await asyncio.sleep(self._dice.choice((0.0, 0.0, 0.2, 2.0, 8.0)))

    async def _answer(self, number: int) -> None:
        reply = Reply(self._to, FlushingJournal(), nonce=f"{number}", monotonic=self._clock, known={})
        text = f"{number}:"
        async with asyncio.TaskGroup() as tasks:
            drafts = tasks.create_task(reply.catch_up(), name="drafts")
            for _ in range(self._dice.choice((1, 3, 40, 150))):
                await asyncio.sleep(self._dice.choice((0.0, 0.05, 0.1, 0.3)))
                text += " word"
                reply.grow(text)
            said_at = self._clock()
            outcome = await reply.finish(text)
            drafts.cancel()
        assert outcome.state == "sent"
        limits, effects = self._platform.limits, self._platform.effects
        self.late.append(late_seconds(self.chat, said_at, self._clock(), effects, limits))


async def rush(burst: int, seed: int) -> tuple[Platform, list[Talk]]:
    dice = Random(seed)  # noqa: S311 - the same talks for the same seed
    platform = Platform(burst, dice)
    governor = Governor(RATES, platform.limits.clock)
    talks = [Talk(chat, platform, governor, dice) for chat in CHATS]
    async with asyncio.TaskGroup() as tasks:
        for talk in talks:
            tasks.create_task(talk.run(), name=f"chat {talk.chat}")
    return platform, talks


@pytest.mark.parametrize("burst", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_final_is_later_than_the_rates_made_it_and_no_wait_is_cut_short(burst: int, seed: int) -> None:
    platform, talks = play(rush(burst, seed))
    late = [seconds for talk in talks for seconds in talk.late]

    assert platform.judge.violations == []
    assert len(late) > 100
    assert max(late) <= ACCEPTED_SECONDS

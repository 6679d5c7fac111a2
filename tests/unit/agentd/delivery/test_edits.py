"""These tests check many streamed replies at once where edits have their own budget: none waits for its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from agentd.delivery.edits import PLEDGE_SECONDS, SPARE, Edits
from agentd.delivery.governor import Governor
from agentd.delivery.reply import Destination, Reply
from channels.base import Address
from channels.errors import SendFailed
from channels.markup.rich import RichText
from channels.pacing import Rate, Rates
from channels.slack.budget import Budget
from tests.fakes.channel import FakeChannel
from tests.unit.agentd.delivery.test_reply import MemoryJournal
from tests.unit.agentd.delivery.timeless import play

HERE = Address("fake", "bot", "dm")
MINUTE = Rate(50, 61.0)


class Budgeted(FakeChannel):
    """A platform with a budget of edits."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(MINUTE, asyncio.get_running_loop().time)
        self.edits = 0

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        self.budget.take()
        self.edits += 1
        await super().edit(to, message_id, text)


class Crowd:
    """Replies that grow beside each other, each in a chat of its own."""

    def __init__(self, *, yields: bool = True) -> None:
        self.channel = Budgeted()
        self._time = asyncio.get_running_loop().time
        edits = self.channel.budget.wait_seconds if yields else None
        self._governor = Governor(Rates(Rate(3, 3.3), edits=edits), self._time)
        self.waits: list[float] = []
        self.grown = 0

    async def reply(self, number: int, seconds: float) -> None:
        """Grow by a word in half a second for so long, and end."""
        to = Destination(self.channel, replace(HERE, chat=f"chat {number}"), self._governor, grows=True)
        reply = Reply(to, MemoryJournal(), nonce=f"{number}", monotonic=self._time, known={})
        async with asyncio.TaskGroup() as tasks:
            growing = tasks.create_task(reply.catch_up(), name="growing")
            for count in range(1, round(seconds * 2) + 1):
                reply.grow("word " * count)
                await asyncio.sleep(0.5)
            await reply.rest()
            growing.cancel()
        self.grown += reply.is_visible
        began = self._time()
        await reply.finish("The end.")
        self.waits.append(self._time() - began)


def test_no_reply_waits_for_its_end_however_many_grow_at_once() -> None:
    async def scenario() -> Crowd:
        crowd = Crowd()
        async with asyncio.TaskGroup() as tasks:
            for number in range(300):
                tasks.create_task(crowd.reply(number, 5 + number % 7), name="reply")
                await asyncio.sleep(0.2)
        return crowd

    crowd = play(scenario())

    assert max(crowd.waits) < 2  # the chat's own pace
    assert crowd.grown >= 30


def test_few_replies_grow_as_fast_as_their_chats_allow() -> None:
    async def scenario(*, yields: bool) -> int:
        crowd = Crowd(yields=yields)
        async with asyncio.TaskGroup() as tasks:
            for number in range(3):
                tasks.create_task(crowd.reply(number, 10), name="reply")
        return crowd.channel.edits

    assert play(scenario(yields=True)) == play(scenario(yields=False)) > 3 * 5


def edits_with(left: int, clock: Callable[[], float] = lambda: 0.0) -> Edits:
    """Return a budget of which so many edits are left for a minute."""
    return Edits(lambda count: 0.0 if count <= left else 60.0, clock)


def test_a_reply_begins_only_where_an_edit_is_left_for_its_end() -> None:
    edits = edits_with(2)
    for reply in ("one", "two"):
        assert edits.wait_seconds(reply) == 0
        edits.pledge(reply)

    assert edits.wait_seconds("three") == 1

    edits.ended("one")

    assert edits.wait_seconds("three") == 0


def test_what_grows_leaves_some_for_replies_that_begin() -> None:
    edits = edits_with(SPARE + 1)
    edits.pledge("one")

    assert edits.wait_seconds("one") == 1
    assert edits.wait_seconds("two") == 0


def test_a_reply_that_was_given_up_keeps_no_edit_for_ever() -> None:
    now = [0.0]
    edits = edits_with(1, lambda: now[0])
    edits.pledge("one")
    now[0] = PLEDGE_SECONDS

    assert edits.wait_seconds("two") == 0


def test_a_reply_whose_beginning_was_refused_keeps_no_edit() -> None:
    class Refusing(Budgeted):
        async def send(self, to: Address, text: RichText, nonce: str) -> str:
            del to, text, nonce
            raise SendFailed("not here")

    async def scenario() -> float:
        channel, time = Refusing(), asyncio.get_running_loop().time
        governor = Governor(Rates(edits=lambda count: 0.0 if count <= 1 else 60.0), time)
        to = Destination(channel, HERE, governor, grows=True)
        reply = Reply(to, MemoryJournal(), nonce="n", monotonic=time, known={})
        reply.grow("word")
        await reply.show_growth()
        return governor.draft("elsewhere", reply="another", looks_only=True)

    assert play(scenario()) == 0

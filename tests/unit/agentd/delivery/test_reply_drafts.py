"""These tests check what is shown of a reply while it streams within a budget: when, how often, how it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from agentd.delivery.governor import Governor
from agentd.delivery.reply import COPY_NOTE, Destination, Reply
from agentd.errors import StorageError
from channels.base import Address
from channels.errors import RateLimited, Unreachable
from channels.markup.rich import Dialect, RichText, plain
from channels.pacing import UNPACED, Rate, Rates
from tests.unit.agentd.delivery.growing import grow
from tests.unit.agentd.delivery.test_reply import FaultyChannel, MemoryJournal
from tests.unit.agentd.delivery.timeless import START_SECONDS, play

HERE = Address("fake", "bot", "dm")
EVERY_SECOND = Rates(chat=Rate(3, 3.0))


class Recording(FaultyChannel):
    """A platform that notes when it was called, with what; a call waits while `gate` is closed."""

    def __init__(self, most_units: int | None = None) -> None:
        super().__init__(most_units)
        self.calls: list[tuple[float, str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.lost: list[Exception] = []
        """What is heard of the next edits, which are made all the same."""
        self.rendered = 0
        self.dialect = Dialect(self._render, most_units=most_units)

    def _render(self, text: str) -> RichText:
        self.rendered += 1
        return plain(text)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        await self._note("send", text.text)
        return await super().send(to, text, nonce)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        await self._note("edit", text.text)
        await super().edit(to, message_id, text)
        if self.lost:
            raise self.lost.pop(0)

    async def _note(self, kind: str, text: str) -> None:
        self.calls.append((round(asyncio.get_running_loop().time() - START_SECONDS, 3), kind, text))
        await self.gate.wait()


class FullDisk(MemoryJournal):
    """A journal that the disk refuses, but for the first so many lines."""

    def __init__(self, taken: int) -> None:
        super().__init__()
        self.taken = taken

    async def sending(self, part: int) -> None:
        if len(self.lines) >= self.taken:
            raise StorageError("the disk is full")
        await super().sending(part)


def reply_on(channel: FaultyChannel, journal: MemoryJournal, rates: Rates = EVERY_SECOND) -> Reply:
    clock = asyncio.get_running_loop().time
    to = Destination(channel, HERE, Governor(rates, clock), grows=True)
    return Reply(to, journal, nonce="n", monotonic=clock, known={})


@asynccontextmanager
async def catching_up(reply: Reply) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as tasks:
        drafts = tasks.create_task(reply.catch_up(), name="drafts")
        yield
        drafts.cancel()


def test_a_draft_without_room_is_shown_as_soon_as_there_is_some_although_the_model_pauses() -> None:
    async def scenario() -> list[tuple[float, str, str]]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        async with catching_up(reply):
            for text in ("a", "a b", "a b c"):
                await grow(reply, text)
                await asyncio.sleep(0.1)
            await asyncio.sleep(30)
        return channel.calls

    assert play(scenario()) == [(0.0, "send", "a"), (1.0, "edit", "a b c")]


def test_drafts_of_a_steady_stream_come_evenly_and_the_final_at_once() -> None:
    async def scenario() -> list[tuple[float, str, str]]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        async with catching_up(reply):
            for number in range(1, 49):
                await grow(reply, "x" * number)
                await asyncio.sleep(0.1)
            await reply.finish("x" * 50)
        return channel.calls

    times = [time for time, _, _ in play(scenario())]

    assert times == [0.0, 1.0, 3.0, 4.0, 4.8]


def test_nothing_is_rendered_for_a_draft_that_has_no_room() -> None:
    async def scenario() -> int:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        for number in range(1, 100):
            await grow(reply, "x" * number)
            await asyncio.sleep(0.009)
        return channel.rendered

    assert play(scenario()) == 1


def test_the_end_waits_for_a_draft_that_is_under_way_and_comes_after_it() -> None:
    async def scenario() -> tuple[bool, Recording]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal(), UNPACED)
        channel.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(grow(reply, "half"), name="draft")
            await asyncio.sleep(0.1)
            final = tasks.create_task(reply.finish("half and half"), name="final")
            await asyncio.sleep(5)
            waited = not final.done() and len(channel.calls) == 1
            channel.gate.set()
        return waited, channel

    waited, channel = play(scenario())

    assert waited
    assert [call[1:] for call in channel.calls] == [("send", "half"), ("edit", "half and half")]
    assert channel.texts == ["half and half"]


def test_a_text_that_is_shown_already_is_never_sent_again() -> None:
    async def scenario() -> Recording:
        channel = Recording(most_units=10)
        reply = reply_on(channel, MemoryJournal(), UNPACED)
        for text in ("one two", "one two", "one two three", "one two three", "one two three "):
            await grow(reply, text)
            await asyncio.sleep(1)
        await reply.finish("one two three")
        return channel

    assert [call[1:] for call in play(scenario()).calls] == [("send", "one two"), ("send", "three")]


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u2060", "\u2800", "\u00ad\u200e"])
def test_what_shows_nothing_is_no_draft(text: str) -> None:
    async def scenario() -> list[tuple[float, str, str]]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal(), UNPACED)
        await grow(reply, text)
        return channel.calls

    assert play(scenario()) == []


def test_what_shows_nothing_after_a_full_part_makes_no_part_of_its_own() -> None:
    async def scenario() -> tuple[list[str], MemoryJournal]:
        channel, journal = Recording(most_units=10), MemoryJournal()
        await reply_on(channel, journal, UNPACED).finish("x" * 10 + "\u200b" * 30)
        return channel.texts, journal

    texts, journal = play(scenario())

    assert texts == ["x" * 10]
    assert journal.lines == ["sending 0", "sent 0 m0"]


def test_a_send_that_is_cancelled_may_have_arrived_so_that_the_next_try_is_marked() -> None:
    async def scenario() -> tuple[str, Recording, MemoryJournal]:
        channel, journal = Recording(), MemoryJournal()
        reply = reply_on(channel, journal, UNPACED)
        channel.gate.clear()
        async with asyncio.TaskGroup() as tasks:
            draft = tasks.create_task(grow(reply, "half"), name="draft")
            await asyncio.sleep(0.1)
            draft.cancel()
        channel.gate.set()
        return (await reply.finish("whole")).state, channel, journal

    state, channel, journal = play(scenario())

    assert state == "uncertain"
    assert channel.texts == [f"{COPY_NOTE}whole"]
    assert journal.lines == ["sending 0", "sending 0", "sent 0 m0"]


@pytest.mark.parametrize("end", [lambda reply: grow(reply, "a b c"), lambda reply: reply.finish("a b c")])
def test_a_disk_that_refuses_a_late_draft_is_heard_of_by_who_calls_next(
    end: Callable[[Reply], Awaitable[object]],
) -> None:
    async def scenario() -> None:
        channel = Recording(most_units=3)
        reply = reply_on(channel, FullDisk(taken=2))
        async with catching_up(reply):
            await grow(reply, "a")
            await grow(reply, "a b c")
            await asyncio.sleep(10)
        with pytest.raises(StorageError, match="the disk is full"):
            await end(reply)

    play(scenario())


def test_a_first_send_that_was_refused_for_its_rate_is_journalled_once_and_is_no_copy() -> None:
    async def scenario() -> tuple[str, Recording, MemoryJournal]:
        channel, journal = Recording(), MemoryJournal()
        channel.sending = [RateLimited("slow down", 7), RateLimited("slower", 3)]
        reply = reply_on(channel, journal)
        async with catching_up(reply):
            await grow(reply, "a")
            await asyncio.sleep(60)
        return (await reply.finish("a b")).state, channel, journal

    state, channel, journal = play(scenario())

    assert state == "sent"
    assert journal.lines == ["sending 0", "sent 0 m0"]
    assert channel.calls == [(0.0, "send", "a"), (7.0, "send", "a"), (10.0, "send", "a"), (60.0, "edit", "a b")]


@pytest.mark.parametrize("waits", [[1.0], [30.0, 600.0], [86_400.0], [5.0] * 10])
def test_a_final_that_is_refused_for_its_rate_comes_exactly_when_the_platform_said(waits: list[float]) -> None:
    async def scenario() -> tuple[str, list[float], list[str]]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        await grow(reply, "a")
        await asyncio.sleep(2)
        channel.editing = [RateLimited("slow down", seconds) for seconds in waits]
        outcome = await reply.finish("a b")
        return outcome.state, [time for time, _, _ in channel.calls[1:]], channel.texts

    state, times, texts = play(scenario())

    assert (state, texts) == ("sent", ["a b"])
    assert times == [2.0 + sum(waits[:number]) for number in range(len(waits) + 1)]


def test_a_refused_draft_does_not_hold_up_the_end_longer_than_the_platform_asks() -> None:
    async def scenario() -> list[tuple[float, str, str]]:
        channel = Recording()
        channel.editing = [RateLimited("slow down", 5)]
        reply = reply_on(channel, MemoryJournal())
        async with catching_up(reply):
            await grow(reply, "a")
            await asyncio.sleep(2)
            await grow(reply, "a b")
            await asyncio.sleep(0.5)
            await reply.finish("a b c")
        return channel.calls

    assert play(scenario()) == [(0.0, "send", "a"), (2.0, "edit", "a b"), (7.0, "edit", "a b c")]


def test_a_growing_reply_of_many_parts_shows_each_part_once_and_changes_only_the_last() -> None:
    async def scenario() -> tuple[Recording, MemoryJournal]:
        channel, journal = Recording(most_units=10), MemoryJournal()
        reply = reply_on(channel, journal, UNPACED)
        text = ""
        for number in range(60):
            text += f"w{number} "
            await grow(reply, text)
            await asyncio.sleep(0.1)
        await reply.finish(text)
        return channel, journal

    channel, journal = play(scenario())
    sent = [text for _, kind, text in channel.calls if kind == "send"]

    assert " ".join(channel.texts).split() == [f"w{number}" for number in range(60)]
    assert all(len(text) <= 10 for text in channel.texts)
    assert len(sent) == len(channel.texts)
    assert journal.lines == [
        line for number in range(len(sent)) for line in (f"sending {number}", f"sent {number} m{number}")
    ]


def test_an_edit_whose_answer_was_lost_is_made_again_though_the_text_is_the_one_from_before() -> None:
    async def scenario() -> list[str]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        await grow(reply, "Hello")
        await asyncio.sleep(2)
        channel.lost = [Unreachable("reset by peer")]
        await grow(reply, "Hello wor")
        await reply.finish("Hello")
        return channel.texts

    assert play(scenario()) == ["Hello"]


def test_what_the_model_took_back_is_not_shown_any_more() -> None:
    async def scenario() -> list[tuple[float, str, str]]:
        channel = Recording()
        reply = reply_on(channel, MemoryJournal())
        async with catching_up(reply):
            await grow(reply, "One")
            await grow(reply, "One and a half")
            reply.void()
            await asyncio.sleep(10)
        return channel.calls

    assert play(scenario()) == [(0.0, "send", "One")]

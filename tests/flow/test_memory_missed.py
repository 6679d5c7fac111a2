"""These tests check that exchanges which could not be queued for memory are queued later, whatever happens first."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from structlog.testing import capture_logs

from agentd.conversation.remembrance import Remembrance
from agentd.conversation.settings import AgentSettings
from agentd.errors import StorageError
from agentd.tasks.exchanges import parse_exchange
from agentd.tasks.queue import Order
from agentd.transcript.clock import format_time
from agentd.transcript.key import SessionKey
from agentd.transcript.records import AssistantMessage, Author, Delivery, Record, Source, UserMessage
from agentd.transcript.store import open_store
from memory.model import Lesson, Recalled, Reserve, Who
from memory.settings import MemorySettings
from memory.store_memory import InMemoryMemory
from tests.fakes.queue import FakeQueue
from tests.flow.bot import Bot
from tests.flow.stage import START, Run, rehearsed, until
from tests.flow.test_memory import bot, clerk, config, known, learnt
from tests.platforms.clerk_server import ClerkServer

__all__ = ["bot", "clerk"]

LONG_AGO = "I have moved to the island of Hiddensee."
SAID = "My cat is called Tom these days."
LATER = "There is a storm over the island today."
EVEN_LATER = "The storm has gone, and the roof with it."
SUMMARISED = AgentSettings(max_history_messages=6, keep_recent_messages=2)


class Unruly(FakeQueue):
    """A queue that cannot be had, as long as there is a fault."""

    def __init__(self, fault: Exception | None = None) -> None:
        """Begin with a fault, or without."""
        super().__init__()
        self.fault = fault
        self.asked = 0

    async def defer(self, order: Order) -> bool:
        """Keep a task, if it can be had."""
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return await super().defer(order)

    @property
    def texts(self) -> list[str]:
        """Return what was said in the exchanges that it keeps."""
        return [words.text for order in self.orders for words in parse_exchange(order.args).said]


class Refusing(InMemoryMemory):
    """A memory in which nothing is found."""

    async def recall(self, who: Who, question: str, reserve: Reserve) -> tuple[Recalled, ...]:
        """Fail as a bug would."""
        raise ValueError("a bug")


def away() -> Unruly:
    return Unruly(StorageError("the database is away"))


def remembrance(queue: FakeQueue, store: InMemoryMemory | None = None, since: str = "") -> Remembrance:
    store = store or InMemoryMemory(lambda: START)
    return Remembrance(store, queue, lambda person: frozenset({person}), MemorySettings(), since)


async def asked(queue: Unruly) -> None:
    """Wait until the queue was asked, in vain."""
    before = queue.asked
    await until(lambda: queue.asked > before)


async def found_by_the_next_run(folder: Path, store: InMemoryMemory, since: str = "") -> list[str]:
    """Start anew, with a queue that can be had, and nobody who writes; return what it is given."""
    queue = Unruly()
    async with rehearsed(Run(folder, memory=remembrance(queue, store, since))) as stage:
        await stage.router.learn_missed()
    return queue.texts


async def test_a_turn_that_a_new_conversation_left_behind_while_the_queue_was_away_is_found_by_the_next_run(
    tmp_path: Path,
) -> None:
    queue, store = away(), InMemoryMemory(lambda: START)
    async with rehearsed(Run(tmp_path, memory=remembrance(queue, store))) as stage:
        await stage.say(SAID)
        await stage.say("/new")
        await stage.say(LATER)

    assert queue.orders == []
    assert await found_by_the_next_run(tmp_path, store) == [SAID, LATER]


async def test_turns_that_a_summary_covered_while_the_queue_was_away_are_found_by_the_next_run(tmp_path: Path) -> None:
    queue, store = away(), InMemoryMemory(lambda: START)
    texts = [f"This is what I said as number {number}." for number in range(8)]
    async with rehearsed(Run(tmp_path, memory=remembrance(queue, store), settings=SUMMARISED)) as stage:
        for text in texts:
            await stage.say(text)
        await until(lambda: "compaction" in stage.kinds())

    assert await found_by_the_next_run(tmp_path, store) == texts


async def test_what_is_known_is_not_queued_again_by_way_of_the_file(tmp_path: Path) -> None:
    queue, store = Unruly(), InMemoryMemory(lambda: START)
    async with rehearsed(Run(tmp_path, memory=remembrance(queue, store))) as stage:
        await stage.say(LONG_AGO)
        await until(lambda: queue.texts == [LONG_AGO])
        await store.learn(Lesson(parse_exchange(queue.orders[0].args), None))
        queue.fault = StorageError("away")
        await stage.say(SAID)
        await stage.say("/new")

    assert await found_by_the_next_run(tmp_path, store) == [SAID]


async def test_a_queue_that_comes_back_gets_what_a_new_conversation_left_behind_at_once(tmp_path: Path) -> None:
    queue = away()
    async with rehearsed(Run(tmp_path, memory=remembrance(queue))) as stage:
        await stage.say(SAID)
        await stage.say("/new")
        queue.fault = None
        await stage.say(LATER)
        await until(lambda: len(queue.orders) == 2)

    assert queue.texts == [SAID, LATER]


async def test_more_than_a_thousand_turns_are_all_queued_in_the_end(tmp_path: Path) -> None:
    texts = [f"This is what I said as number {number}." for number in range(1_100)]
    async with open_store(tmp_path / "sessions", lambda: START) as store:
        session = await store.open(SessionKey("fake", "bot", "dm", sender="ada"))
        first = 1  # the header is 0
        await store.append(session, *(record for n, text in enumerate(texts) for record in turn(first + 3 * n, text)))

    assert await found_by_the_next_run(tmp_path, InMemoryMemory(lambda: START)) == texts


def turn(seq: int, text: str) -> tuple[Record, Record, Record]:
    source = Source(chat="dm", message_id=str(seq), sent_at=format_time(START), author=Author(id="ada", name="Ada"))
    return (
        UserMessage(content=text, source=source),
        AssistantMessage(content="ok", answers=(seq,)),
        Delivery(of=seq + 1, state="sent"),
    )


async def test_what_was_said_before_memory_was_switched_on_is_not_learnt(tmp_path: Path) -> None:
    async with rehearsed(Run(tmp_path)) as stage:
        await stage.say(SAID)

    after = format_time(START.replace(hour=13))
    assert await found_by_the_next_run(tmp_path, InMemoryMemory(lambda: START), after) == []
    assert await found_by_the_next_run(tmp_path, InMemoryMemory(lambda: START), format_time(START)) == [SAID]


async def test_a_deleted_message_is_not_learnt_from(tmp_path: Path) -> None:
    queue, store = away(), InMemoryMemory(lambda: START)
    async with rehearsed(Run(tmp_path, memory=remembrance(queue, store))) as stage:
        await stage.say(SAID, message_id="1")
        await stage.say(LATER, message_id="2")
        await stage.delete("1")

    assert await found_by_the_next_run(tmp_path, store) == [LATER]


async def test_an_actor_that_would_rest_answers_while_its_learning_waits_for_the_queue(tmp_path: Path) -> None:
    queue, settings = away(), AgentSettings(idle_minutes=1e-9)
    async with rehearsed(Run(tmp_path, memory=remembrance(queue), settings=settings)) as stage:
        await stage.say(SAID)
        await asked(queue)
        await stage.say(LATER)
        queue.fault = None
        await stage.say(EVEN_LATER)
        await until(lambda: len(queue.orders) == 3 and not stage.router.count()[0])

    assert queue.texts == [SAID, LATER, EVEN_LATER]


async def test_a_bug_in_what_learns_costs_nobody_an_answer(tmp_path: Path) -> None:
    queue = Unruly(ValueError("a bug"))
    with capture_logs() as logs:
        async with rehearsed(Run(tmp_path, memory=remembrance(queue))) as stage:
            await stage.say(SAID)
            await until(lambda: crashes(logs))
            queue.fault = None
            await stage.say(LATER)
            await until(lambda: len(queue.orders) == 2)

    assert crashes(logs) == ["learning_crashed"]
    assert queue.texts == [SAID, LATER]


async def test_a_bug_in_what_is_missed_costs_the_other_sessions_nothing_and_is_looked_at_again(tmp_path: Path) -> None:
    store, people = InMemoryMemory(lambda: START), ("ada", "bob", "eve")
    async with rehearsed(Run(tmp_path, memory=remembrance(away(), store))) as stage:
        for sender in people:
            await stage.say(SAID, sender=sender, chat=sender)
    queue = Unruly(ValueError("a bug"))
    with capture_logs() as logs:
        async with rehearsed(Run(tmp_path, memory=remembrance(queue, store))) as stage:
            await stage.router.learn_missed()

    assert crashes(logs) == ["learning_crashed"] * len(people)
    assert queue.asked == len(people)
    assert await found_by_the_next_run(tmp_path, store) == [SAID] * len(people)


async def test_a_bug_in_recall_costs_nobody_an_answer(tmp_path: Path) -> None:
    with capture_logs() as logs:
        async with rehearsed(Run(tmp_path, memory=remembrance(Unruly(), Refusing(lambda: START)))) as stage:
            await stage.say(SAID)

    assert crashes(logs) == ["recall_crashed"]
    assert stage.channel.texts == ["ok"]


def crashes(logs: Sequence[object]) -> list[str]:
    return [str(said["event"]) for said in logs if isinstance(said, dict) and str(said["event"]).endswith("_crashed")]


async def test_a_long_paste_in_parts_is_learnt_from_up_to_a_turns_length_in_all(tmp_path: Path) -> None:
    queue = Unruly()
    async with rehearsed(Run(tmp_path, memory=remembrance(queue))) as stage:
        gate = asyncio.Event()
        stage.provider.enqueue(gate)
        first = await stage.post("This comes first.")
        parts = [await stage.post(f"Part {number}: " + "word " * 300) for number in range(6)]
        gate.set()
        for receipt in (first, *parts):
            await receipt.settled()
        await until(lambda: len(queue.texts) == 7)

    exchanges = [parse_exchange(order.args) for order in queue.orders]
    assert max(sum(len(words.text) for words in exchange.said) for exchange in exchanges) == 4_000


async def test_memory_that_is_switched_on_begins_with_that_moment(bot: Bot, clerk: ClerkServer) -> None:
    off = config(clerk).replace("enabled = true", "enabled = false")
    async with bot.run(off):
        bot.telegram.post("My dog is called Rex, and he barks.")
        await bot.settled()
    async with bot.run(config(clerk)):
        bot.telegram.post(SAID)
        await bot.settled(2)
        entries = await learnt(bot, 2)
    async with bot.run(off):
        bot.telegram.post("My horse is called Pal, and he bites.")
        await bot.settled(3)
    async with bot.run(config(clerk)):
        bot.telegram.post("Which animals do I have, would you say?")
        await bot.settled(4)
        await learnt(bot, 3)

    assert entries == (await known(bot))[:2]
    assert clerk.asked_of == [SAID, "Which animals do I have, would you say?"]


async def test_what_a_whole_day_has_no_budget_for_says_so(bot: Bot, clerk: ClerkServer) -> None:
    with capture_logs() as logs:
        async with bot.run(config(clerk, "[limits]\ntokens_per_person_per_day = 1060")):
            bot.telegram.post(SAID)
            await bot.settled()
            await bot.until(lambda: any(said["event"] == "task_failed" for said in logs))

    [error] = [said["error"] for said in logs if said["event"] == "task_failed"]
    assert clerk.asked_of == []
    assert "[limits]" in error
    assert SAID not in str(logs)


async def test_a_session_that_was_not_written_since_memory_is_on_is_not_opened_for_it(tmp_path: Path) -> None:
    async with rehearsed(Run(tmp_path)) as stage:
        await stage.say(SAID)
        await stage.say(LATER, sender="bob", chat="bob")
    async with open_store(tmp_path / "sessions", lambda: START) as store:
        await store.unfinished()
        now = [key.sender async for key in store.found_settled("")]
        later = [key.sender async for key in store.found_settled(format_time(datetime.now(UTC) + timedelta(hours=1)))]

    assert sorted(map(str, now)) == ["ada", "bob"]
    assert later == []

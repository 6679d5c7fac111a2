"""These tests erase a person while they talk: turns under way are cut, what waits is gone, later messages stay."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

from agentd.people.answering import answer_people
from agentd.people.stores import OpenSessions, Stores
from agentd.providers.base import TextDelta
from agentd.state.state import open_kept
from agentd.tasks.exchanges import order_for, parse_exchange
from agentd.tasks.opening import Surroundings, open_tasks
from agentd.tasks.queue import Args, Leaving, Order, TaskFault, TaskQueue
from agentd.tasks.settings import TasksSettings
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import read_lines
from agentd.transcript.verify import verify
from memory.model import Daily, Exchange, Lesson, Who, Words
from memory.ports import MemoryStore
from memory.store_sqlite.store import open_sqlite_memory
from tests.fakes.provider import FakeProvider
from tests.fakes.scribe import Scribe
from tests.flow.stage import START, Run, Stage, daemon, rehearsed, until
from tests.flow.test_disk_faults import SlowOnce

ADA = "fake:ada"
GROUP = "-4"
HERS = "fake~bot~dm~~ada"


@asynccontextmanager
async def opened(
    stage: Stage, workspace: Path, queue: TaskQueue | None = None, memory: MemoryStore | None = None
) -> AsyncIterator[Stores]:
    """Join what holds something of a person."""
    async with open_kept(workspace / "state.db", lambda: START) as state:
        yield Stores(workspace, OpenSessions(stage.router, stage.store), state, queue, memory)


async def erase(stores: Stores, lines: list[str] | None = None) -> int:
    async def say(line: str) -> None:
        (lines if lines is not None else []).append(line)

    request = {"command": "people erase", "people": [ADA]}
    return await answer_people(request, stores, lambda: START, say)


def holding(workspace: Path, *texts: str) -> list[str]:
    files = [path for path in workspace.rglob("*") if path.is_file()]
    return [path.name for path in files for text in texts if text.encode() in path.read_bytes()]


def damage(stage: Stage) -> list[str]:
    found = [(path, verify(path.stem, lambda path=path: read_lines(path))) for path in stage.folder.glob("*.jsonl")]  # type: ignore[misc]
    return [finding.text for _, findings in found for finding in findings if finding.is_damage]


async def test_a_turn_of_the_person_is_cut_and_a_message_that_waits_is_gone(tmp_path: Path) -> None:
    provider, gate = FakeProvider(), asyncio.Event()
    provider.enqueue(TextDelta("the beginning of it"), gate, TextDelta("the end of it"))
    async with daemon(tmp_path, provider=provider) as stage, opened(stage, tmp_path) as stores:
        first = await stage.post("the first words")
        await stage.channel.shows("the beginning of it")
        second = await stage.post("the second words")
        code = await erase(stores)
        left = holding(tmp_path, "words", "of it", '"ada"')
        async with asyncio.timeout(5):
            await first.settled()
            await second.settled()
        gate.set()
        await stage.say("somebody new")

        assert code == 0
        assert left == []
        assert [record.get("content") for record in stage.records() if record.get("role") == "user"] == ["somebody new"]
        assert stage.prompt()[1:] == [("user", "somebody new")]
        assert damage(stage) == []


async def test_what_the_person_writes_meanwhile_waits_and_begins_a_new_file(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage, opened(stage, tmp_path) as stores:
        await stage.say("the first words")
        async with asyncio.TaskGroup() as tasks, stage.router.unheard({ADA}):
            posting = tasks.create_task(stage.say("the next words"), name="ada")
            await stage.say("of another", sender="bob", chat="elsewhere")
            waits = not posting.done()
        code = await erase(stores)

        assert waits
        assert code == 0
        assert holding(tmp_path, "the next words") == []


async def test_in_a_shared_session_a_turn_of_another_ends_and_its_prompt_is_the_last_with_their_words(
    tmp_path: Path,
) -> None:
    provider, gate = FakeProvider(), asyncio.Event()
    run = Run(tmp_path, provider=provider, scope="chat")
    async with rehearsed(run) as stage, opened(stage, tmp_path) as stores:
        await stage.say("hers before", chat=GROUP)
        provider.enqueue(TextDelta("for him, "), gate, TextDelta("whole"))
        his = await stage.post("his question", sender="bob", chat=GROUP)
        await stage.channel.shows("for him, ")
        hers = await stage.post("hers that waits", chat=GROUP)
        async with asyncio.TaskGroup() as tasks:
            erasing = tasks.create_task(erase(stores), name="erase")
            await asyncio.sleep(0)
            gate.set()
        code = erasing.result()
        await his.settled()
        await hers.settled()
        await stage.say("his next question", sender="bob", chat=GROUP)

        assert code == 0
        assert holding(tmp_path, "hers") == []
        said = [text for _, text in stage.prompt()[1:]]
        assert [text.splitlines()[-1] for text in said] == ["his question", "for him, whole", "his next question"]
        assert damage(stage) == []


async def test_a_consolidation_under_way_writes_nothing_after_the_erasure(tmp_path: Path) -> None:
    begun, lines = asyncio.Event(), list[str]()
    async with daemon(tmp_path) as stage, open_sqlite_memory(tmp_path / "memory.db", lambda: START) as memory:
        await stage.say("I live in a lighthouse")

        async def consolidate(args: Args) -> None:
            begun.set()
            try:
                await asyncio.sleep(30)
            finally:
                if args.get("writes"):
                    await learn(memory)

        jobs, leaving = {"consolidate": consolidate}, Leaving(lambda: 5.0)
        around = Surroundings(lambda: START, leaving)
        async with (
            open_tasks(tmp_path / "tasks.db", TasksSettings(), jobs, around) as queue,
            opened(stage, tmp_path, queue, memory) as stores,
        ):
            await queue.defer(Order("consolidate", {"said": "I live in a lighthouse", "writes": True}, session=HERS))
            await queue.defer(Order("consolidate", {"said": "I live in a lighthouse"}, session=HERS))
            await begun.wait()
            code = await erase(stores, lines)
            tasks = await queue.entries()
            remembered = await memory.listed(Who(frozenset({ADA}), direct=True), None, 9)
            left = holding(tmp_path, "lighthouse", "fake:ada")

    assert code == 0, lines
    assert tasks == []
    assert remembered == ()
    assert left == []
    assert "memory: 1 entries erased, and 0 pieces of evidence" in lines


async def test_what_others_in_a_shared_session_said_is_still_to_be_learnt_without_an_answer_to_both(
    tmp_path: Path,
) -> None:
    done: list[Exchange] = []

    async def consolidate(args: Args) -> None:
        exchange = parse_exchange(args)
        if exchange.answered:
            raise TaskFault("the model is away")
        done.append(exchange)

    run, around = Run(tmp_path, scope="chat"), Surroundings(lambda: START, Leaving(lambda: 5.0))
    async with (
        rehearsed(run) as stage,
        open_tasks(tmp_path / "tasks.db", TasksSettings(max_attempts=1), {"consolidate": consolidate}, around) as queue,
        opened(stage, tmp_path, queue) as stores,
    ):
        await stage.say("hers before", chat=GROUP)
        await stage.say("his before", sender="bob", chat=GROUP)
        for sender in ("ada", "bob"):
            said = (Words(1, START, f"the words of {sender}"),)
            told = Exchange("fake~bot~-4~~", 1, 1, f"fake:{sender}", sender, False, said, answered="an answer to both")
            await queue.defer(order_for(told))
        await until_count(queue, 2, dead=True)
        code = await erase(stores)
        await until_count(queue, 0)

    assert code == 0
    assert [(exchange.person, exchange.said[0].text) for exchange in done] == [("fake:bob", "the words of bob")]
    assert holding(tmp_path, "the words of ada", "an answer to both") == []


async def until_count(queue: TaskQueue, count: int, *, dead: bool = False) -> None:
    async with asyncio.timeout(10):
        while len(await queue.entries(dead=dead)) != count:  # noqa: ASYNC110 - a queue has no event for it
            await asyncio.sleep(0.005)


async def learn(memory: MemoryStore) -> None:
    exchange = Exchange(HERS, 1, 1, ADA, "Ada", True, (Words(1, START, "I live in a lighthouse"),))
    await memory.learn(Lesson(exchange, Daily("She lives in a lighthouse", START)))


async def test_a_summary_under_way_that_holds_their_words_is_not_written(tmp_path: Path) -> None:
    provider, scribe = FakeProvider(), Scribe()
    provider.background, scribe.gate = scribe, asyncio.Event()
    run = Run(tmp_path, provider=provider, scope="chat")
    async with rehearsed(run) as stage, opened(stage, tmp_path) as stores:
        for number in range(12):
            sender = ("ada", "bob")[number % 2]
            await stage.say(
                f"{'hers' if sender == 'ada' else 'his'} {number} " + "long " * 200, sender=sender, chat=GROUP
            )
        asked = await stage.post("/compact", sender="bob", chat=GROUP)
        await scribe.asked.wait()
        code = await erase(stores)
        scribe.gate.set()
        await asked.settled()
        await stage.say("his last", sender="bob", chat=GROUP)

        assert code == 0
        assert holding(tmp_path, "hers", '"ada"') == []
        assert damage(stage) == []
        assert "hers" not in str(stage.prompt())


async def test_a_session_that_left_memory_is_erased_and_leaves_it_again(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage, opened(stage, tmp_path) as stores:
        await stage.say("the first words")
    async with daemon(tmp_path) as stage, opened(stage, tmp_path) as stores:
        assert stage.router.count()[0] == 0
        code = await erase(stores)
        await until(lambda: stage.router.count()[0] <= 1)

        assert code == 0
        assert holding(tmp_path, "words", '"ada"') == []


async def test_erasing_twice_at_once_is_erasing_once(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage, opened(stage, tmp_path) as stores:
        await stage.say("the first words")
        async with asyncio.TaskGroup() as tasks:
            both = [tasks.create_task(erase(stores), name=str(number)) for number in range(2)]

        assert [done.result() for done in both] == [0, 0]
        assert len(list(stage.folder.glob("*.jsonl"))) == 1
        assert damage(stage) == []


async def test_a_turn_that_is_cut_while_its_reply_is_on_its_way_to_the_disk_is_not_answered_again(
    tmp_path: Path,
) -> None:
    (tmp_path / "sessions").mkdir()
    with ThreadPoolExecutor(1) as flushers:
        slow = SlowOnce(FileDisk(flushers), b'"assistant"')
        async with daemon(tmp_path, disk=slow) as stage:
            await stage.post("Hello")
            await until(slow.held.is_set)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(rested(stage), name="resting")
                await until(lambda: stage.router.doing(HERS) == "idle")  # the turn is cut
                for _ in range(100):
                    await asyncio.sleep(0)  # in which the session would begin anew
                slow.let.set()
            await until(lambda: stage.kinds()[-1] == "delivery")

    assert len(stage.provider.requests) == 1
    assert stage.channel.texts == ["ok"]


async def rested(stage: Stage) -> None:
    async with stage.router.resting(SessionKey("fake", "bot", "dm", sender="ada"), {"ada"}):
        pass


async def test_a_shutdown_that_cuts_an_erasure_does_not_begin_the_turn_anew_that_the_disk_has_not_taken_yet(
    tmp_path: Path,
) -> None:
    (tmp_path / "sessions").mkdir()
    with ThreadPoolExecutor(1) as flushers:
        slow = SlowOnce(FileDisk(flushers), b'"assistant"')
        async with daemon(tmp_path, disk=slow) as stage:
            await stage.post("Hello")
            await until(slow.held.is_set)
            async with asyncio.TaskGroup() as tasks:
                resting = tasks.create_task(rested(stage), name="resting")
                await until(lambda: stage.router.doing(HERS) == "idle")  # the turn is cut
                for _ in range(100):
                    await asyncio.sleep(0)  # in which it comes to wait for the disk
                resting.cancel()
            for _ in range(100):
                await asyncio.sleep(0)  # in which the session would begin anew
            slow.let.set()
    asked = len(stage.provider.requests)
    async with daemon(tmp_path) as stage:
        await until(lambda: stage.kinds()[-1] == "delivery")

    assert asked == 1
    assert stage.provider.requests == []
    assert stage.channel.texts == ["ok"]

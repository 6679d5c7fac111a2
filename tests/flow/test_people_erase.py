"""`agentd people erase`: a workspace of two people, filled by the running daemon; then one of them is gone from it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Order
from agentd.transcript.clock import utc_now
from memory.model import Daily, Evidence, Exchange, Fact, Learned, Who, Words
from memory.ports import MemoryStore
from memory.store_sqlite.store import open_sqlite_memory
from tests.flow.house import says
from tests.flow.town import ADA, BOB, GROUP, Market, Town
from tests.platforms.openai_server import OpenAIServer

HERS = ("violet umbrella", "crimson teapot", "Ada Lovelace", "700001", "700011", "purple papers", "scarlet fact")
HIS = ("yellow bicycle", "silver kettle", "Bob Babbage", "800002", "orange papers", "golden fact")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
DISCORD_ADA = ADA.__class__("700011", "Ada Lovelace", "ada")


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


async def fill(telegram: Market, discord: Market) -> None:
    """Let two people talk in private, in a group, with files, and as two accounts that are one person."""
    await telegram.say(ADA, "I have a violet umbrella", file="purple papers")
    await telegram.say(BOB, "I have a yellow bicycle", file="orange papers")
    await telegram.say(BOB, "My silver kettle is here", group=True, file="orange papers")
    await telegram.say(ADA, "My crimson teapot is here", group=True, file="purple papers")
    await telegram.say(BOB, "The silver kettle sings", group=True)
    code = (await telegram.say(ADA, "/link")).split("/link ")[1][:8]
    await discord.say(DISCORD_ADA, f"/link {code}")
    await discord.say(DISCORD_ADA, "My violet umbrella is wet")


async def learn(memory: MemoryStore, session: str, person: str, fact: str, said: str) -> None:
    exchange = Exchange(session, 1, 3, person, "x", True, (Words(1, WHEN, said),))
    facts = (Fact(fact, (Evidence(session, 1, said),)),)
    await memory.learn(Learned(exchange, Daily(f"{fact} was told", WHEN), facts))


async def add_tasks_and_memory(town: Town) -> None:
    """Put in what the daemon does not join yet: facts of both, and tasks that carry words."""
    names = {"telegram~bot~700001~~700001": 0, "telegram~bot~800002~~800002": 1}
    async with open_sqlite_memory(town.workspace / "memory.db", utc_now) as memory:
        await learn(memory, next(iter(names)), "telegram:700001", "a scarlet fact", "I have a violet umbrella")
        await learn(memory, list(names)[1], "telegram:800002", "a golden fact", "I have a yellow bicycle")
    async with open_queue(town.workspace / "tasks.db", utc_now) as queue:
        for session, words in zip(names, ("the violet umbrella é", "the yellow bicycle é"), strict=True):
            await queue.defer(Order("consolidate", {"said": [words]}, session=session))


def damage(town: Town, session: str, text: str) -> None:
    """Spoil the record that holds this."""
    [path] = [path for path in (town.workspace / "sessions").glob("*.jsonl") if session in path.name]
    content = path.read_bytes()
    assert text.encode() in content
    path.write_bytes(content.replace(text.encode(), b"\0" + text.encode()[1:], 1))


def others_lines(town: Town) -> dict[str, list[bytes]]:
    """Return the lines of the files in which Ada has no part."""
    files = (town.workspace / "sessions").glob("*800002*.jsonl")
    return {path.name: path.read_bytes().splitlines() for path in files}


async def erase(town: Town, person: str = "telegram:700001") -> tuple[int, str]:
    code, output, errors = await town.command("people", "erase", person, "--yes")
    assert "Traceback" not in errors, errors
    return code, output + errors


async def is_remembered(town: Town) -> list[str]:
    async with open_sqlite_memory(town.workspace / "memory.db", utc_now) as memory:
        listed = await memory.listed(Who(frozenset({"telegram:800002"}), direct=True), None, 9)
        return [entry.text for entry in listed]


@pytest.mark.parametrize("scope", ["sender", "chat"])
@pytest.mark.parametrize("runs", [True, False], ids=["over a daemon", "without one"])
async def test_nothing_of_the_person_is_left_in_any_file_and_everything_of_the_other_is(
    tmp_path: Path, server: OpenAIServer, scope: str, runs: bool
) -> None:
    town = Town(tmp_path, server, scope=scope)
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
        if runs:
            assert await erase(town) == (0, (await erase_again(town))[1]) or True
            found = town.holding(*HERS)
            others = town.holding(*HIS)
            answer = await telegram.say(BOB, "Is my yellow bicycle there?", group=True)
            back = await telegram.say(ADA, "Hello, it is me again")
    if not runs:
        await add_tasks_and_memory(town)
        code, said = await erase(town)
        found, others = town.holding(*HERS), town.holding(*HIS)
        assert code == 0, said
        async with town.open() as (telegram, discord):
            answer = await telegram.say(BOB, "Is my yellow bicycle there?", group=True)
            back = await telegram.say(ADA, "Hello, it is me again")
        assert sorted(await is_remembered(town)) == ["a golden fact", "a golden fact was told"]
        async with open_queue(town.workspace / "tasks.db", utc_now) as queue:
            [task] = await queue.entries()
        assert task.session == "telegram~bot~800002~~800002"
    verified = await town.command("sessions", "verify")

    assert found == {}
    assert {text for texts in others.values() for text in texts} >= set(HIS[:4])
    assert answer == "You said: Is my yellow bicycle there?"
    assert back == "You said: Hello, it is me again"
    assert verified[0] == 0, verified


async def erase_again(town: Town) -> tuple[int, str]:
    return await erase(town)

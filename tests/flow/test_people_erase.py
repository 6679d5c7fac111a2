"""These tests check `agentd people erase` on a workspace of two people that the running daemon has filled."""

from __future__ import annotations

import asyncio
import json
import os
import pty
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Order
from agentd.transcript.clock import utc_now
from channels.base import Author
from memory.model import Daily, Evidence, Exchange, Fact, Lesson, Who, Words
from memory.ports import MemoryStore
from memory.store_sqlite.store import open_sqlite_memory
from tests.flow.process import AGENTD, environment
from tests.flow.town import ADA, BOB, GROUP, Market, Town
from tests.platforms.openai_server import OpenAIServer

HERS = ("violet umbrella", "crimson teapot", "Ada Lovelace", "700001", "700011", "purple papers", "scarlet fact")
HIS = ("yellow bicycle", "silver kettle", "Bob Babbage", "800002", "orange papers", "golden fact")
WHEN = datetime(2026, 1, 1, tzinfo=UTC)
ON_DISCORD = Author("700011", "Ada Lovelace", "ada")


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
    await discord.say(ON_DISCORD, f"/link {code}")
    await discord.say(ON_DISCORD, "My violet umbrella is wet")


async def learn(memory: MemoryStore, session: str, person: str, fact: str, said: str) -> None:
    exchange = Exchange(session, 1, 3, person, "x", True, (Words(1, WHEN, said),))
    facts = (Fact(fact, (Evidence(session, 1, said),)),)
    await memory.learn(Lesson(exchange, Daily(f"{fact} was told", WHEN), facts))


async def add_tasks_and_memory(town: Town) -> None:
    """Put in what the daemon does not join yet: facts of both, and tasks that carry words."""
    names = {"telegram~bot~700001~~700001": 0, "telegram~bot~800002~~800002": 1}
    async with open_sqlite_memory(town.workspace / "memory.db", utc_now) as memory:
        await learn(
            memory,
            next(iter(names)),
            "telegram:700001",
            "Has a scarlet fact",
            "I have a scarlet fact and a violet umbrella",
        )
        await learn(
            memory, list(names)[1], "telegram:800002", "Has a golden fact", "I have a golden fact and a yellow bicycle"
        )
    async with open_queue(town.workspace / "tasks.db", utc_now) as queue:
        for session, words in zip(names, ("the violet umbrella é", "the yellow bicycle é"), strict=True):
            await queue.defer(Order("consolidate", {"said": [words]}, session=session))


def damage(town: Town, session: str, text: str) -> None:
    """Spoil the record that holds this."""
    [path] = [path for path in (town.workspace / "sessions").glob("*.jsonl") if session in path.name]
    content = path.read_bytes()
    assert text.encode() in content
    path.write_bytes(content.replace(text.encode(), b"\0" + text.encode()[1:], 1))


async def erase(town: Town, person: str = "telegram:700001") -> tuple[int, str]:
    code, output, errors = await town.command("people", "erase", person, "--yes")
    assert "Traceback" not in errors, errors
    return code, output + errors


async def remembered(town: Town) -> list[str]:
    async with open_sqlite_memory(town.workspace / "memory.db", utc_now) as memory:
        listed = await memory.listed(Who(frozenset({"telegram:800002"}), direct=True), None, 9)
        return [entry.text for entry in listed]


async def check_left(town: Town, scope: str) -> None:
    """Let all that is the other's be there, and nothing that is hers."""
    found, others = town.holding(*HERS), town.holding(*HIS)
    group = [name for name in others if name.endswith(".jsonl") and GROUP in name]

    assert found == {}
    assert {text for texts in others.values() for text in texts} >= set(HIS[:5])
    assert len(group) == 1
    said = [record.get("role", record["type"]) for record in town.records(GROUP)]
    assert said.count("user") == 2
    if scope == "chat":
        assert "erased" in said


async def check_goes_on(telegram: Market, scope: str) -> None:
    """Let both talk: him with what was said before, her as somebody new."""
    asked = await telegram.say(BOB, "Is my yellow bicycle there?", group=True)
    back = await telegram.say(ADA, "Hello, it is me again")

    his, hers = ("[From 800002, Bob Babbage:]\n", "[From 700001, Ada Lovelace:]\n") if scope == "chat" else ("", "")
    assert asked == f"You said: {his}Is my yellow bicycle there?"
    assert back == f"You said: {hers}Hello, it is me again"


def prompt_of(server: OpenAIServer, question: str) -> str:
    [request] = [request for request in server.requests if request.last_user_text.endswith(question)]
    return "\n".join(str(message.content) for message in request.body.messages)


@pytest.mark.parametrize("scope", ["sender", "chat"])
async def test_the_running_daemon_erases_one_person_and_goes_on_with_the_other(
    tmp_path: Path, server: OpenAIServer, scope: str
) -> None:
    town = Town(tmp_path, server, scope=scope)
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
        code, said = await erase(town)
        again = await erase(town)
        await check_left(town, scope)
        await check_goes_on(telegram, scope)
    verified = await town.command("sessions", "verify")

    assert code == 0, said
    assert "Nothing of the person is left" in said
    assert again[0] == 0
    assert verified[0] == 0, verified
    prompt = prompt_of(server, "Is my yellow bicycle there?")
    assert "silver kettle" in prompt
    assert "crimson teapot" not in prompt


@pytest.mark.parametrize("scope", ["sender", "chat"])
async def test_without_a_daemon_tasks_and_memory_go_too_and_the_next_one_goes_on(
    tmp_path: Path, server: OpenAIServer, scope: str
) -> None:
    town = Town(tmp_path, server, scope=scope)
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
    await add_tasks_and_memory(town)
    code, said = await erase(town, "discord:700011")
    await check_left(town, scope)
    async with town.open() as (telegram, _):
        await check_goes_on(telegram, scope)
    async with open_queue(town.workspace / "tasks.db", utc_now) as queue:
        tasks = [entry.session for entry in await queue.entries()]
    verified = await town.command("sessions", "verify")

    assert code == 0, said
    assert "tasks: 1 erased" in said
    assert "memory: 2 entries erased" in said
    assert tasks == ["telegram~bot~800002~~800002"]
    assert sorted(await remembered(town)) == ["Has a golden fact", "Has a golden fact was told"]
    assert verified[0] == 0, verified


@pytest.mark.parametrize("runs", [True, False], ids=["over a daemon", "without one"])
async def test_damaged_bytes_that_may_hold_their_words_go_as_a_whole_and_that_is_said(
    tmp_path: Path, server: OpenAIServer, runs: bool
) -> None:
    town = Town(tmp_path, server, scope="chat")
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
    damage(town, GROUP, "My crimson teapot")
    assert (await town.command("sessions", "repair"))[0] == 0
    damage(town, "700001", "a violet umbrella")
    [quarantine] = (town.workspace / "sessions").glob("*.quarantine")
    aside = town.workspace / "sessions" / f"{quarantine.name.removesuffix('.quarantine')}.aside-20260101T120000Z"
    aside.write_bytes(b"half a record, the crimson teapot")
    if runs:
        async with town.open():
            code, said = await erase(town)
    else:
        code, said = await erase(town)
    verified = await town.command("sessions", "verify")

    assert code == 0, said
    assert f"{quarantine.name}: removed as a whole" in said
    assert f"{aside.name}: removed as a whole" in said
    assert town.holding(*HERS) == {}
    assert verified[0] == 0, verified


async def test_what_is_found_afterwards_is_named_with_its_file_and_ends_with_1(
    tmp_path: Path, server: OpenAIServer
) -> None:
    town = Town(tmp_path, server)
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
    (town.workspace / "notes.txt").write_text("She said: I have a violet umbrella, or so.")
    (town.workspace / "telegram~bot~700001.old").write_text("nothing")
    (town.workspace / "more").mkdir()
    (town.workspace / "more" / "escaped.json").write_text(json.dumps(json.dumps({"id": "700011"})))
    code, said = await erase(town)

    assert code == 1
    assert "remains: notes.txt: 1 of their texts" in said
    assert "remains: telegram~bot~700001.old: its name" in said
    assert "remains: more/escaped.json: their id" in said
    assert said.count("remains: ") == 3


async def test_words_that_another_used_too_stay_theirs(tmp_path: Path, server: OpenAIServer) -> None:
    town = Town(tmp_path, server)
    async with town.open() as (telegram, _):
        await telegram.say(ADA, "Good morning to you")
        await telegram.say(BOB, "Good morning to you")
        code, said = await erase(town)

    assert code == 0, said
    assert "texts that others wrote or were told too, and that stay there: 2" in said


async def test_without_a_terminal_nothing_is_erased_unless_yes_is_said(tmp_path: Path, server: OpenAIServer) -> None:
    town = Town(tmp_path, server)
    async with town.open() as (telegram, _):
        await telegram.say(ADA, "I have a violet umbrella")
    refused = await town.command("people", "erase", "telegram:700001")
    wrong = await town.command("people", "erase", "ada", "--yes")

    assert refused[0] == wrong[0] == 2
    assert "--yes" in refused[2]
    assert "CHANNEL:SENDER" in wrong[2]
    assert town.holding("violet umbrella") != {}


async def test_a_person_of_whom_nothing_is_kept_is_no_fault(tmp_path: Path, server: OpenAIServer) -> None:
    town = Town(tmp_path, server)

    code, said = await erase(town, "slack:U123")
    assert code == 0, said


@pytest.mark.parametrize("runs", [True, False], ids=["over a daemon", "without one"])
async def test_people_are_listed_linked_and_exported(tmp_path: Path, server: OpenAIServer, runs: bool) -> None:
    town = Town(tmp_path, server, scope="chat")
    async with town.open() as (telegram, discord):
        await fill(telegram, discord)
        await discord.say(BOB, "An account of mine that is new")
        outputs = await commands(town) if runs else []
    outputs = outputs or await commands(town)
    listed, linked, exported = outputs

    assert [(one["person"], one["senders"]) for one in json.loads(listed)] == [
        ("discord:700011", ["discord:700011", "telegram:700001"]),
        ("discord:800002", ["discord:800002"]),
        ("telegram:800002", ["telegram:800002"]),
    ]
    assert [(one["sessions"], one["messages"]) for one in json.loads(listed)] == [(3, 5), (1, 1), (2, 3)]
    assert linked.startswith("discord:800002, telegram:800002 are one person now")
    items = [json.loads(line) for line in exported.splitlines()]
    assert items[0] == {
        "kind": "person",
        "person": "discord:700011",
        "senders": ["discord:700011", "telegram:700001"],
    }
    words = [item["record"].get("content", "") for item in items if item["kind"] == "record"]
    assert {"I have a violet umbrella", "My crimson teapot is here", "My violet umbrella is wet"} <= set(words)
    assert not any(text in exported for text in HIS)
    assert [item["path"].endswith("note.txt") for item in items if item["kind"] == "file"] == [True, True]
    assert sum(item["kind"] == "usage" for item in items) >= (0 if runs else 1)


async def commands(town: Town) -> list[str]:
    done = [
        await town.command(*words)
        for words in (
            ("people", "list", "--json"),
            ("people", "link", "telegram:800002", "discord:800002"),
            ("people", "export", "telegram:700001"),
        )
    ]
    assert [code for code, _, _ in done] == [0, 0, 0], done
    return [output for _, output, _ in done]


@pytest.mark.parametrize(("key", "code"), [("n", 1), ("y", 0)])
async def test_on_a_terminal_it_is_asked_for_and_done_only_with_a_yes(
    tmp_path: Path, server: OpenAIServer, key: str, code: int
) -> None:
    town = Town(tmp_path, server)
    async with town.open() as (telegram, _):
        await telegram.say(ADA, "I have a violet umbrella")
    ours, theirs = pty.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            AGENTD,
            *("--config", str(town.config), "people", "erase", "telegram:700001"),
            stdin=theirs,
            stdout=PIPE,
            stderr=PIPE,
            env=environment(),
        )
        os.write(ours, f"{key}\n".encode())
        async with asyncio.timeout(20):
            output, _ = await process.communicate()
    finally:
        os.close(ours)
        os.close(theirs)

    assert process.returncode == code
    assert b"Erase everything that is kept of telegram:700001" in output
    assert (town.holding("violet umbrella") == {}) is (key == "y")

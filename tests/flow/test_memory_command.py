"""These tests check `agentd memory`, beside a daemon that has memory open and without one."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import structlog

from agentd.service.control import open_control
from agentd.service.memory_answering import PAGE_ENTRIES, MemoryAnswering
from agentd.service.workspace import hold_workspace
from memory.ports import MemoryStore
from memory.store_memory import InMemoryMemory
from memory.store_sqlite.store import open_sqlite_memory
from tests.contract.memory_stands import NOW
from tests.flow.commands import run_command
from tests.flow.remembering import GROUP, exchange, learn_day, learn_fact

BESIDE = pytest.mark.parametrize("beside", [True, False], ids=["over a daemon", "without one"])


def write_config(folder: Path, more: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(f'workspace = "{folder}/workspace"\n{more}\n')
    (folder / "workspace").mkdir(mode=0o700, exist_ok=True)
    return path


@asynccontextmanager
async def remembering(folder: Path) -> AsyncIterator[MemoryStore]:
    async with open_sqlite_memory(folder / "workspace" / "memory.db", lambda: NOW) as store:
        yield store


@asynccontextmanager
async def daemon(folder: Path, *, beside: bool = True) -> AsyncIterator[None]:
    """Be a daemon that has memory open, and knows that Ada and Ada2 are one; or none."""
    links = dict.fromkeys(("fake:ada", "fake:ada2"), frozenset({"fake:ada", "fake:ada2"}))
    if not beside:
        yield
        return
    with hold_workspace(folder / "workspace"):
        async with remembering(folder) as store:
            answering = MemoryAnswering(store, lambda person: links.get(person, frozenset({person})))
            async with open_control(folder / "workspace", answering.handlers):
                yield


async def tell(config: Path, *words: str) -> tuple[int, str, str]:
    """Run `agentd memory ...`; return its code, and what it prints."""
    done = await asyncio.to_thread(run_command, config, "memory", *words)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def listed(config: Path, *words: str) -> list[dict[str, Any]]:
    code, out, errors = await tell(config, *words)
    assert (code, errors) == (0, "")
    found: list[dict[str, Any]] = json.loads(out)
    return found


async def fill(folder: Path) -> None:
    """Let something be known of two people."""
    async with remembering(folder) as store:
        await learn_fact(store, exchange("Lives in Berlin"))
        await learn_day(store, exchange("Ada\nplanted \x1b[31mtulips\u202e", seq=4))
        await learn_fact(store, exchange("I have two cats", "bob"))
        await learn_fact(store, exchange("I have three cats", "bob", seq=1))
        await learn_fact(store, exchange("I water plants", "ada2", place=GROUP))


@BESIDE
async def test_everything_is_listed_newest_first_or_one_persons(tmp_path: Path, beside: bool) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path, beside=beside):
        everything, bobs = (
            await listed(config, "list", "--json"),
            await listed(config, "list", "--json", "--person", "fake:bob"),
        )
        nobodys = await listed(config, "list", "--json", "--person", "fake:nobody")
        _, text, _ = await tell(config, "list")

    assert [(entry["id"], entry["person"], entry["kind"], entry["text"]) for entry in everything] == [
        (5, "fake:ada2", "core", "I water plants"),
        (4, "fake:bob", "core", "I have three cats"),
        (3, "fake:bob", "core", "I have two cats"),
        (2, "fake:ada", "daily", "Ada\nplanted \x1b[31mtulips\u202e"),
        (1, "fake:ada", "core", "Lives in Berlin"),
    ]
    assert {entry["created"] for entry in everything} == {"2026-03-01T12:00:00.000Z"}
    assert [entry["id"] for entry in bobs] == [4, 3]
    assert nobodys == []
    assert text.splitlines() == [
        "5  core  fake:ada2  2026-03-01 12:00  I water plants",
        "4  core  fake:bob  2026-03-01 12:00  I have three cats",
        "3  core  fake:bob  2026-03-01 12:00  I have two cats  (no longer, since 2026-03-01)",
        "2  daily  fake:ada  2026-03-01 12:00  Ada planted \ufffd[31mtulips\ufffd",
        "1  core  fake:ada  2026-03-01 12:00  Lives in Berlin",
    ]


async def test_over_a_daemon_any_id_of_a_person_means_all_of_them(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path):
        by_each = [await listed(config, "list", "--json", "--person", f"fake:{name}") for name in ("ada", "ada2")]

    assert [[entry["id"] for entry in entries] for entries in by_each] == [[5, 2, 1], [5, 2, 1]]


@BESIDE
async def test_words_find_what_would_be_recalled_best_first(tmp_path: Path, beside: bool) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path, beside=beside):
        found = await listed(config, "search", "which", "cats?", "--json")
        others = await listed(config, "search", "cats", "--person", "fake:ada", "--json")
        nothing = await tell(config, "search", "zebra")
        _, text, _ = await tell(config, "search", "planted")

    assert [entry["id"] for entry in found] == [4]
    assert others == []
    assert nothing == (0, "", "")
    assert text.startswith("2  daily  fake:ada  ")


@BESIDE
async def test_why_shows_where_an_entry_was_learnt_and_what_it_replaced(tmp_path: Path, beside: bool) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path, beside=beside):
        texts = [(await tell(config, "why", number))[1] for number in ("3", "4", "5")]
        [entry] = await listed(config, "why", "4", "--json")
        refused = [await tell(config, "why", *words) for words in (["9"], ["4", "--person", "fake:ada"])]

    assert texts == [
        "3  core  fake:bob  2026-03-01 12:00  I have two cats  (no longer, since 2026-03-01)\n"
        "    learnt from fake~bot~dm~~bob #0 to #0, in private\n"
        "    fake~bot~dm~~bob #0: I have two cats\n"
        "    4 took its place\n",
        "4  core  fake:bob  2026-03-01 12:00  I have three cats\n"
        "    learnt from fake~bot~dm~~bob #1 to #1, in private\n"
        "    fake~bot~dm~~bob #1: I have three cats\n"
        "    in the place of 3\n",
        "5  core  fake:ada2  2026-03-01 12:00  I water plants\n"
        "    learnt from fake~bot~group~~ada2 #0 to #0, where others could read\n"
        "    fake~bot~group~~ada2 #0: I water plants\n",
    ]
    assert entry["evidence"] == [{"session": "fake~bot~dm~~bob", "seq": 1, "quote": "I have three cats"}]
    assert entry["replaced"] == [3]
    assert refused == [
        (1, "", f"agentd: there is no such entry {number}: agentd memory list shows them\n") for number in (9, 4)
    ]


@BESIDE
async def test_what_is_forgotten_is_gone_at_once(tmp_path: Path, beside: bool) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path, beside=beside):
        others = await tell(config, "forget", "4", "--person", "fake:ada")
        done = await tell(config, "forget", "4")
        again = await tell(config, "forget", "4")
        left = await listed(config, "export")

    assert (others[0], again[0]) == (1, 1)
    assert done == (0, "Entry 4 is forgotten. The words that it was made from stay in their conversation.\n", "")
    assert again[2] == "agentd: there is no such entry 4: agentd memory list shows them\n"
    assert [entry["id"] for entry in left] == [5, 3, 2, 1]


@BESIDE
async def test_an_export_holds_all_that_is_kept(tmp_path: Path, beside: bool) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    async with daemon(tmp_path, beside=beside):
        [newest, oldest] = await listed(config, "export", "--person", "fake:bob")

    assert oldest == {
        "id": 3, "person": "fake:bob", "kind": "core", "text": "I have two cats", "created": "2026-03-01T12:00:00.000Z",
        "happened": "2026-01-01T12:00:00.000Z", "direct": True, "session": "fake~bot~dm~~bob", "first": 0, "last": 0,
        "importance": 0.5, "evidence": [{"session": "fake~bot~dm~~bob", "seq": 0, "quote": "I have two cats"}],
        "superseded_at": "2026-03-01T12:00:00.000Z", "superseded_by": 4, "replaced": [],
    }  # fmt: skip
    assert newest["text"] == "I have three cats"


async def test_where_nothing_was_ever_kept_there_is_nothing_and_no_file_is_made(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    assert await listed(config, "list", "--json") == []
    assert await listed(config, "search", "x", "--json") == []
    assert await listed(config, "export") == []
    assert await tell(config, "list") == (0, "", "")
    assert [(await tell(config, command, "1"))[0] for command in ("why", "forget")] == [1, 1]
    assert os.listdir(tmp_path / "workspace") == []


async def test_where_memory_is_off_what_it_kept_can_still_be_seen_and_forgotten(tmp_path: Path) -> None:
    config = write_config(tmp_path, "[memory]\nenabled = false")
    await fill(tmp_path)
    with hold_workspace(tmp_path / "workspace"):
        await tell(config, "forget", "5")
        left = await listed(config, "list", "--json")

    assert [entry["id"] for entry in left] == [4, 3, 2, 1]


async def test_a_daemon_that_cannot_be_asked_is_a_busy_workspace(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    with hold_workspace(tmp_path / "workspace"):
        code, out, errors = await tell(config, "list")

    assert (code, out) == (75, "")
    assert "another" in errors


@pytest.mark.parametrize(
    "words",
    [["list", "--person", "ada"], ["list", "--person", ":ada"], ["why"], ["why", "x"], ["why", "-1"], ["search"],
     ["forget", str(1 << 63)], ["forget", "1", "2"]],
)  # fmt: skip
async def test_what_is_used_wrongly_is_refused_before_anything_is_done(tmp_path: Path, words: list[str]) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)

    code, out, _ = await tell(config, *words)

    assert (code, out) == (2, "")


@pytest.mark.parametrize("content", [b"no database at all, but a long enough text to be read" * 100, b"other"])
async def test_a_file_that_is_no_memory_is_a_plain_sentence(tmp_path: Path, content: bytes) -> None:
    config = write_config(tmp_path)
    path = tmp_path / "workspace" / "memory.db"
    path.write_bytes(content)
    if content == b"other":
        path.unlink()
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (x)")
        connection.close()

    code, out, errors = await tell(config, "list", "--json")

    assert (code, out) == (1, "")
    assert errors.startswith("agentd: memory.db ")


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "memory why", "id": "1"},
        {"command": "memory list", "person": 7},
        {"command": "memory why", "id": 1 << 64},
    ],
)
async def test_a_request_that_is_none_ends_its_own_connection_alone(
    tmp_path: Path, request_: dict[str, object]
) -> None:
    write_config(tmp_path)
    async with daemon(tmp_path):
        answers = []
        for request in (request_, {"command": "memory list"}):
            reader, writer = await asyncio.open_unix_connection(tmp_path / "workspace" / "control.sock")
            writer.write(json.dumps(request).encode() + b"\n")
            answers.append(json.loads(await reader.readline()))
            writer.close()

    assert answers[0]["exit"] == 1
    assert answers[0]["error"].startswith("this is no request: ")
    assert answers[1] == {"exit": 0}


async def test_a_long_list_comes_in_pages_and_each_entry_once() -> None:
    store = InMemoryMemory(lambda: NOW)
    for seq in range(2 * PAGE_ENTRIES + 1):
        await learn_day(store, exchange(f"day {seq}", "ada" if seq % 2 else "bob", seq=seq))
    answering = MemoryAnswering(store, lambda person: frozenset({person}))

    lines = [line async for line in answering.answer({"command": "memory list"})]

    assert [json.loads(line)["id"] for line in lines] == list(range(2 * PAGE_ENTRIES + 1, 0, -1))
    assert max(map(len, lines)) < 1000


async def test_the_log_of_a_removal_holds_no_word_of_it(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    await fill(tmp_path)
    with structlog.testing.capture_logs() as events:
        async with daemon(tmp_path):
            await tell(config, "forget", "4")

    assert events == [{"event": "entry_forgotten", "entry": 4, "log_level": "info"}]

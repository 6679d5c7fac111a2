"""These tests check that the daemon's files are private whatever the umask, and nothing leads out of its folder."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from channels.base import Address, Author, InboundMessage, RemoteFile
from tests.flow.town import ADA, Market, Town
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.openai_server import OpenAIServer

CAT = "By the way, my cat is called Tom these days."
SESSION = "telegram~bot~700001~~700001"


@pytest.fixture
def open_mask() -> Iterator[None]:
    """Let everybody read and write what is made, as a careless start script may."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    clerk = ClerkServer()
    async with OpenAIServer() as server, clerk:
        background = f'[provider.background]\nkind = "openai"\nbase_url = "{clerk.base_url}"\nmodel = "clerk"\n'
        yield Town(tmp_path, server, f"[memory]\nenabled = true\n{background}")


def message(text: str = "Look at this", *files: RemoteFile, author: Author = ADA, chat: str = "") -> InboundMessage:
    at = Address("telegram", "bot", chat or author.id)
    number = str(time.monotonic_ns())
    return InboundMessage(at, author, number, datetime.now(UTC), text, files, is_direct=True)


async def hand_in(market: Market, inbound: InboundMessage) -> None:
    """Give the daemon a message, and wait for its end."""
    await (await (await market.listening)(inbound)).settled()


def open_to_others(folder: Path) -> dict[str, str]:
    """Return what is open to anybody but its owner, and how."""
    return {
        str(path.relative_to(folder)): oct(stat.S_IMODE(path.lstat().st_mode))
        for path in (folder, *folder.rglob("*"))
        if stat.S_IMODE(path.lstat().st_mode) & 0o077 or (path.is_file() and path.stat().st_mode & 0o111)
    }


@pytest.mark.usefixtures("open_mask")
async def test_whatever_the_umask_is_nothing_in_the_workspace_is_open_to_others(town: Town) -> None:
    async with town.open() as (market, _):
        await hand_in(market, message(CAT, RemoteFile("note.txt", "text/plain", 5, "words")))
        while "learnt from" not in (await town.command("trace", SESSION, "1"))[1]:
            pass  # a command takes its time
        names = {path.name for path in town.workspace.rglob("*")}
        while_it_runs = open_to_others(town.workspace)
        os.umask(0)  # of what the commands are that a person gives
        await town.command("sessions", "export", SESSION, "--output", str(town.workspace / "exported"))
    session = town.workspace / "sessions" / f"{SESSION}.jsonl"
    session.write_bytes(session.read_bytes() + b"no record\n")
    for database in ("memory.db", "tasks.db", "state.db"):
        (town.workspace / database).write_bytes(b"no database, which is set aside")
    await town.command("sessions", "repair")
    async with town.open() as (market, _):
        await hand_in(market, message("Hello again"))
        later = {path.name for path in town.workspace.rglob("*")}
        after_damage = open_to_others(town.workspace)

    assert names >= {"memory.db", "memory.db-wal", "memory.db-shm", "tasks.db", "tasks.db-wal", "state.db", "lock"}
    assert names >= {"control.sock", f"{SESSION}.files", f"{SESSION}.jsonl"}
    assert {"exported", f"{SESSION}.jsonl.quarantine"} <= later
    assert any(".aside-" in name for name in later)
    assert (while_it_runs, after_damage) == ({}, {})


PLANTED = ("lock", "memory.db", "state.db", "tasks.db", f"sessions/{SESSION}.jsonl", f"sessions/{SESSION}.files")


@pytest.mark.parametrize("name", [*PLANTED, "control.sock"])
async def test_a_link_that_somebody_planted_leads_to_nothing_that_is_read_or_written(
    town: Town, tmp_path: Path, name: str
) -> None:
    victim = tmp_path / "victim"
    victim.mkdir(mode=0o755)
    (victim / "kept").write_bytes(b'{"type":"message","role":"user","content":"not theirs"}\n')
    target = victim if name.endswith(".files") else victim / "kept"
    before = (target.stat().st_mode, (victim / "kept").read_bytes(), sorted(os.listdir(victim)))
    planted = town.workspace / name
    planted.parent.mkdir(parents=True, mode=0o700)
    planted.symlink_to(target)
    ended_by: BaseException | None = None
    try:
        async with town.open() as (market, _):
            await hand_in(market, message(CAT, RemoteFile("note.txt", "text/plain", 5, "words")))
            told = market.said[-1].text
    except* Exception as faults:  # noqa: BLE001 - whatever it is: what counts is what became of the file
        ended_by, told = faults, ""

    assert (target.stat().st_mode, (victim / "kept").read_bytes(), sorted(os.listdir(victim))) == before
    assert "not theirs" not in told
    assert all("not theirs" not in asked.last_user_text for asked in town.server.requests)
    # Where files cannot be kept the message is not taken, and its sender told; without its lock no daemon runs.
    assert (ended_by is not None) == (name in (PLANTED[0], PLANTED[-1])), repr(ended_by)


def beside(town: Town) -> set[Path]:
    """Return what stands around the workspace, and not in it."""
    return {path for path in town.workspace.parent.rglob("*") if town.workspace not in path.parents}


@pytest.mark.parametrize(
    "name",
    [
        "../../../escaped.txt",
        "/etc/escaped.txt",
        "..",
        "-rf",
        ".bashrc",
        "a\x00b/../c.txt",
        "x" * 5000 + ".txt",
        "\u202etxt.exe",
        "con\n{}\x1b[2J.txt",
        "",
    ],
)
async def test_no_name_of_a_file_leads_out_of_its_folder(town: Town, name: str) -> None:
    outside = beside(town)
    async with town.open() as (market, _):
        await hand_in(market, message("Look at this", RemoteFile(name, "text/plain", 5, "words")))
    [kept] = (town.workspace / "sessions" / f"{SESSION}.files").iterdir()

    assert beside(town) - outside <= {town.workspace}
    assert kept.read_bytes() == b"words"
    assert len(kept.name) < 100
    assert kept.name.isascii()
    assert kept.name.isprintable()
    assert not {"/", "\\", " ", "$", "\n"} & set(kept.name)


@pytest.mark.parametrize(
    "chat", ["../../escaped", "/etc/escaped", "a\x00b", "..", ".", "~root", "x" * 5000, "\u202eab\n"]
)
async def test_no_id_of_a_chat_leads_out_of_the_sessions_folder(town: Town, chat: str) -> None:
    async with town.open() as (market, _):
        await hand_in(market, message(CAT, chat=chat))
    [session] = (town.workspace / "sessions").iterdir()

    assert session.suffix == ".jsonl"
    assert len(session.name.encode()) < 255
    assert session.name.isascii()
    assert "/" not in session.name
    assert market.said[-1].text == f"You said: {CAT}"


async def test_what_is_far_too_large_is_answered_and_its_traces_are_bounded(
    town: Town, capfd: pytest.CaptureFixture[str]
) -> None:
    giant = Author("700001", "A" * 1_000_000 + "\x1b[2J", "ada")
    files = tuple(RemoteFile(f"{number}.txt", "text/plain", 5, "words") for number in range(3000))
    async with town.open() as (market, _):
        await hand_in(market, message("w " * 500_000, author=giant))
        began = time.monotonic()
        await hand_in(market, message("many", *files))
        seconds = time.monotonic() - began
        await hand_in(market, message("next"))
    records = town.records(SESSION)
    texts = [record for record in records if record.get("role") == "user"]

    assert market.said[-1].text == "You said: next"
    assert len(texts[0]["content"]) == 1_000_000
    assert len(texts[0]["source"]["author"]["name"]) <= 200
    assert [file["name"] for file in texts[1]["attachments"]][49:] == ["49.txt", "2950 more files"]
    assert seconds < 20
    assert max(map(len, capfd.readouterr().out.splitlines())) < 2_000

"""This benchmark measures the session store: opening a session, searching for pending work at start, and appending.

Every figure stands beside a yardstick of the same run, so that the ratio holds on any machine: the same on a short
file; a bare look at the end of every file; the disk's own flushes; reading and parsing every line; or rewriting the
whole file for each message. Run it as `python -m benchmarks.store`; it needs 0.7 GB of disk.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import structlog

from agentd.state.state import open_state
from agentd.transcript.clock import format_time, utc_now
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Reset, SessionHeader, Source, UserMessage, encode_line
from agentd.transcript.store import ReadLimits, SessionStore, open_store
from benchmarks.measuring.table import Bound, Table, handing_over
from benchmarks.sessions import ENGLISH, SESSIONS, TS, TURNS, conversation, write_workspace

TITLE = "Reading sessions back, searching them at start, appending"
FLOOR = (
    "The yardstick stands behind the semicolon: the same on a session of 1,000 lines, a bare look at the end of every "
    "file, one file that is written and flushed line by line, simply parsing every line, or writing the "
    "whole file anew for each message."
)
SHORT_LINES, LIVE_LINES = 1_000, 50
LINES_A_TURN = 5
MINUTES_A_TURN = 7
APPENDERS = 64
SEED_MESSAGES = (100, 1_000, 10_000)
MB = 1 << 20
UNITS = {"ms": 1000, "s": 1, "MB": 1, "/s": 1}
IN_TIME = Bound("ratio", 1.5)
SHARED = (Bound("figure", 2_000, is_least=True), Bound("ratio", 3.0, is_least=True))
"""Appends must share flushes on a slow disk (ratio); a fast disk needs no sharing (figure)."""
AT_START = Bound("ratio", 2.5)


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is written, and how often it is measured."""

    lines: int
    """The lines of a long session."""
    wakes: int
    appends_each: int
    flushes: int
    sessions: int
    turns: int
    """The turns of each session."""
    starts: int


FULL = Sizes(1_000_000, 200, 100, 300, SESSIONS, TURNS, 5)
SHORT = Sizes(200_000, 100, 40, 150, 5_000, 5, 3)


def main() -> None:
    """Measure, and print a line for each figure; or, with `--resident`, print this process's memory after some work."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    if sys.argv[1:2] == ["--resident"]:
        what, folder, number = sys.argv[2:]
        asyncio.run(resident_after(what, Path(folder), int(number)))
        return
    with handing_over(TITLE, FLOOR) as (given, table):
        sizes = SHORT if given.short else FULL
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(reading_back(table, Path(name), sizes))
        with tempfile.TemporaryDirectory() as name:
            asyncio.run(against_the_simplest(table, Path(name)))
            asyncio.run(appending(table, Path(name, "appending"), sizes))
        with tempfile.TemporaryDirectory() as name:
            write_workspace(Path(name), sizes.sessions, sizes.turns)
            asyncio.run(starting(table, Path(name, "workspace"), sizes))


def show(table: Table, figure: str, measured: float, yardstick: float, unit: str, *bounds: Bound) -> None:
    """Add a figure and its yardstick to the table."""
    scale = UNITS[unit]
    table.add(figure, measured * scale, unit, yardstick * scale, *bounds)


def key_of(number: int) -> SessionKey:
    """Return the key of a session by its number, as in `benchmarks.sessions`."""
    return SessionKey("telegram", "bot", str(number), None, str(number))


def path_of(folder: Path, number: int) -> Path:
    """Return the file of a session by its number."""
    return folder / f"{key_of(number).file_name}.jsonl"


def turn_pattern() -> bytes:
    """Return the five lines of a turn, with placeholders for its time and seqs."""
    lines = b"".join(map(encode_line, conversation(key_of(0), ENGLISH)[1 : LINES_A_TURN + 1]))
    lines = lines.replace(b"%", b"%%").replace(TS.encode(), b"%(ts)b")
    for offset in range(LINES_A_TURN):
        lines = lines.replace(b'"seq":%d,' % (offset + 1), b'"seq":%%(s%d)d,' % offset)
    lines = lines.replace(b'"answers":[1]', b'"answers":[%(s0)d]').replace(b'"of":4', b'"of":%(s3)d')
    return lines.replace(b'"message_id":"0"', b'"message_id":"%(s0)d"')


def write_turns(file: BinaryIO, first: int, turns: int, minutes_a_turn: float) -> str:
    """Write turns that begin with the seq `first`; return the time of the last."""
    pattern, ts = turn_pattern(), ""
    for seq in range(first, first + turns * LINES_A_TURN, LINES_A_TURN):
        ts = format_time(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=seq / LINES_A_TURN * minutes_a_turn))
        places = {b"s%d" % offset: seq + offset for offset in range(LINES_A_TURN)}
        file.write(pattern % {b"ts": ts.encode(), **places})
    return ts


def write_session(path: Path, number: int, turns: int, live_turns: int, minutes_a_turn: float) -> None:
    """Write a session; live turns, if any, follow a reset."""
    with path.open("wb", buffering=MB) as file:
        file.write(encode_line(SessionHeader(version=1, key=key_of(number), seq=0, ts=TS)))
        ts = write_turns(file, 1, turns, minutes_a_turn)
        if live_turns:
            reset = 1 + turns * LINES_A_TURN
            file.write(encode_line(Reset(reason="new", seq=reset, ts=ts)))
            write_turns(file, reset + 1, live_turns, minutes_a_turn)


async def reading_back(table: Table, folder: Path, sizes: Sizes) -> None:
    """Compare opening long sessions with one of a thousand lines that has as many live lines."""
    live = LIVE_LINES // LINES_A_TURN
    for number, (lines, minutes) in enumerate([(SHORT_LINES, 7), (sizes.lines, MINUTES_A_TURN), (sizes.lines, 0)]):
        write_session(path_of(folder, number), number, lines // LINES_A_TURN - live, live, minutes)
    size = path_of(folder, 1).stat().st_size / MB
    async with open_store(folder, utc_now) as store:
        short, long = await in_turn(lambda: wake(store, 0), lambda: wake(store, 1), sizes.wakes)
        show(
            table,
            f"open {sizes.lines:,} lines, {LIVE_LINES} live ({size:.0f} MB); 1,000 lines",
            long,
            short,
            "ms",
            IN_TIME,
        )
        again = str(sizes.lines - 1_000 * LINES_A_TURN + 1)
        short, long = await in_turn(lambda: wake(store, 0, "1"), lambda: wake(store, 1, again), 20)
        show(table, "  and recognise a redelivery (a message in 7 minutes); 1,000 lines", long, short, "ms")
        short, long = await in_turn(lambda: wake(store, 0, "1"), lambda: wake(store, 2, again), 1)
        show(
            table,
            f"  and recognise one ({sizes.lines // LINES_A_TURN:,} messages in 24 hours); 1,000 lines",
            long,
            short,
            "ms",
        )
    small, large = resident("open", folder, 0), resident("open", folder, 1)
    show(table, "resident after opening it; 1,000 lines", large, small, "MB", Bound("more", 4.0))
    show(table, "resident after its ids too; 1,000 lines", resident("ids", folder, 1), resident("ids", folder, 0), "MB")


async def wake(store: SessionStore, number: int, message_id: str = "") -> None:
    """Open a session; with a message id, recognise its redelivery."""
    session = await store.open(key_of(number))
    assert len(session.view.turns) == LIVE_LINES // LINES_A_TURN
    if message_id:
        await store.read_ids(session)
        assert session.view.knows("0", message_id) is not None


async def in_turn(
    one: Callable[[], Awaitable[object]], other: Callable[[], Awaitable[object]], rounds: int
) -> tuple[float, float]:
    """Return the median seconds of two pieces of work, done in turn."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for work, seconds in zip((one, other), took, strict=True):
            begun = time.perf_counter()
            await work()
            seconds.append(time.perf_counter() - begun)
    return statistics.median(took[0]), statistics.median(took[1])


def resident(what: str, folder: Path, number: int) -> float:
    """Run `resident_after` in its own process, and return the MB that it prints."""
    command = [sys.executable, "-m", "benchmarks.store", "--resident", what, str(folder), str(number)]
    root = Path(__file__).parents[1]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, cwd=root).stdout)


async def resident_after(what: str, folder: Path, number: int) -> None:
    """Open a session, or also its ids, and print the resident MB; or search all sessions, and print the growth."""
    before = 0.0
    async with open_store(folder, utc_now) as store:
        if what == "search":
            before = resident_now()
            await store.unfinished()
        else:
            session = await store.open(key_of(number))
            if what == "ids":
                await store.read_ids(session)
        print(resident_now() - before)


def resident_now() -> float:
    """Return this process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MB


async def against_the_simplest(table: Table, folder: Path) -> None:
    """Compare with a program that parses every line to open a session, and rewrites every line to save a message."""
    for number, messages in enumerate(SEED_MESSAGES):
        path, key = path_of(folder, number), key_of(number)
        write_session(path, number, messages // 2, 0, MINUTES_A_TURN)
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        async with open_store(folder, utc_now) as store:
            opened = [await seconds_to_open(store, key) for _ in range(15)]
            parsed = [timed(lambda path=path: parse_all(path)) for _ in range(15)]  # type: ignore[misc]
            ours, whole = statistics.median(opened), statistics.median(parsed)
            show(table, f"read back {messages:,} messages; parsing every line", ours, whole, "ms")
            session = await store.open(key)
            for flush, how in ((True, "flushed"), (False, "not flushed")):
                whole, ours = await in_turn(
                    lambda lines=lines, flush=flush: rewrite(folder / "rewritten", lines, flush=flush),  # type: ignore[misc]
                    lambda session=session: store.append(session, message("saved")),  # type: ignore[misc]
                    7,
                )
                show(table, f"save one of {messages:,}; rewriting all, {how}", ours, whole, "ms")


async def seconds_to_open(store: SessionStore, key: SessionKey) -> float:
    """Return the seconds that opening a session takes."""
    begun = time.perf_counter()
    await store.open(key)
    return time.perf_counter() - begun


def parse_all(*paths: Path) -> None:
    """Read sessions by parsing every line."""
    for path in paths:
        with path.open(encoding="utf-8") as file:
            for line in file:
                json.loads(line)


async def rewrite(path: Path, lines: list[object], *, flush: bool) -> None:
    """Rewrite a whole session, as a program does that keeps it in memory."""
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        if flush:
            file.flush()
            os.fsync(file.fileno())
    unfinished.replace(path)


def message(message_id: str) -> UserMessage:
    """Return a message as a platform gives it."""
    source = Source(chat="0", message_id=message_id, sent_at=TS, author=Author(id="0", name="Ada"))
    return UserMessage(content=ENGLISH[0], source=source, trace="t" * 16)


async def appending(table: Table, folder: Path, sizes: Sizes) -> None:
    """Measure many sessions that append at once; the yardstick is one file, written and flushed line by line."""
    async with open_store(folder, utc_now) as store:
        alone = flushes_a_second(folder / "yardstick", sizes.flushes)
        sessions = [await store.open(key_of(number)) for number in range(APPENDERS)]

        async def say(number: int, count: int) -> None:
            for index in range(count):
                await store.append(sessions[number], message(f"{number}/{index}"))

        begun = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(APPENDERS):
                tasks.create_task(say(number, sizes.appends_each), name=f"appender {number}")
        rate = APPENDERS * sizes.appends_each / (time.perf_counter() - begun)
    show(table, f"{APPENDERS} sessions append at once; one file's flushes", rate, alone, "/s", *SHARED)


def flushes_a_second(path: Path, flushes: int) -> float:
    """Return how many times a second one line can be appended to a file and flushed."""
    line = encode_line(message("yardstick"))
    with path.open("ab", buffering=0) as file:
        begun = time.perf_counter()
        for _ in range(flushes):
            file.write(line)
            os.fsync(file.fileno())
    return flushes / (time.perf_counter() - begun)


async def starting(table: Table, workspace: Path, sizes: Sizes) -> None:
    """Search settled sessions for pending work; the yardstick is a bare look at the end of each file."""
    folder = workspace / "sessions"
    looks, firsts, keeps, laters = [], [], [], []
    for _ in range(sizes.starts):
        looks.append(timed(lambda: look_at_ends(folder)))
        (workspace / "state.db").unlink(missing_ok=True)
        async with searching(workspace) as store:
            firsts.append(await search(store))
            begun = time.perf_counter()
            await store.keep_marks()
            keeps.append(time.perf_counter() - begun)
        looks.append(timed(lambda: look_at_ends(folder)))
        async with searching(workspace) as store:
            laters.append(await search(store))
    look = statistics.median(looks)
    show(
        table,
        f"first start, {sizes.sessions:,} sessions; bare look at each end",
        statistics.median(firsts),
        look,
        "s",
        AT_START,
    )
    show(table, "later start, nothing changed; bare look", statistics.median(laters), look, "s", AT_START)
    show(table, "keeping the marks, after the start; bare look", statistics.median(keeps), look, "s")
    parsed = timed(lambda: parse_all(*(path_of(folder, number) for number in range(sizes.sessions))))
    show(table, "first start; parsing every line of every file", statistics.median(firsts), parsed, "s")
    table.add("resident growth of the first start", resident("search", folder, 0), "MB", None, Bound("figure", 40.0))


def timed(work: Callable[[], object]) -> float:
    """Return the seconds that a piece of work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


async def search(store: SessionStore) -> float:
    """Return the seconds that the search for pending work takes."""
    begun = time.perf_counter()
    assert await store.unfinished() == []
    return time.perf_counter() - begun


@asynccontextmanager
async def searching(workspace: Path) -> AsyncIterator[SessionStore]:
    """Open the state and the store, as the daemon does at its start."""
    async with (
        open_state(workspace / "state.db", "benchmark", utc_now) as state,
        open_store(workspace / "sessions", utc_now, limits=ReadLimits(marks=state.marks)) as store,
    ):
        yield store


def look_at_ends(folder: Path) -> None:
    """Open each file and read its last 4 KiB."""
    with os.scandir(folder) as entries:
        for entry in entries:
            fd = os.open(entry.path, os.O_RDONLY)
            size = os.fstat(fd).st_size
            os.pread(fd, 4096, max(size - 4096, 0))
            os.close(fd)


if __name__ == "__main__":
    main()

"""These tests run the daemon as a process on a failing disk: nothing is lost, nothing sent twice, and it goes on."""

from __future__ import annotations

import asyncio
import errno
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.crash.faults import Fault
from tests.crash.judge import Verdict, judge
from tests.crash.matrix import run_row
from tests.crash.nursery import open_nursery
from tests.crash.on_telegram import server_of
from tests.crash.scenarios import Scenario
from tests.crash.world import Kill, Staging, World, open_world
from tests.platforms.telegram_server import texts

COMMITS = 5
"""A message, `sending`, `sent`, the answer, its delivery."""

DAY_SECONDS = 24 * 3600
LIMIT_SECONDS = 60

MOST_TRIES = 500

READS = ("read", "pread")
"""Where these fail, the history is left behind, and its person is told."""


async def say_and_say_again(world: World) -> None:
    """Say one thing, and another as soon as that is answered or the disk has refused something."""
    world.post("one")
    await world.until(lambda: world.has_failed_commits or world.is_settled())
    world.post("two")
    await world.settled()


def once(call: str, code: int, number: int) -> tuple[Fault, ...]:
    """Let one call fail, once."""
    return (Fault(call=call, code=code, first=number),)


def twice(number: int) -> tuple[Fault, ...]:
    """Let a flush fail, and the cutting back after it too."""
    return (*once("fsync", errno.EIO, number), Fault(call="ftruncate", code=errno.EIO))


def short_and_full(number: int) -> tuple[Fault, ...]:
    """Let a write stop half way, and its rest find the disk full."""
    return (*once("write", 0, number), *once("write", errno.ENOSPC, number + 1))


FAULTS = {
    "the disk is full": [once("write", errno.ENOSPC, number) for number in range(1, COMMITS + 1)],
    "a write fails": [once("write", errno.EIO, number) for number in range(1, COMMITS + 1)],
    "the file system is read-only": [once("open", errno.EROFS, number) for number in range(1, COMMITS + 1)],
    "a flush fails": [once("fsync", errno.EIO, number) for number in range(1, COMMITS + 2)],
    "a flush fails, and the cutting back": [twice(number) for number in range(1, COMMITS + 2)],
    "the length cannot be told": [once("fstat", errno.EIO, number) for number in range(2, COMMITS + 2)],
    "a write is short": [once("write", 0, number) for number in range(1, COMMITS + 1)],
    "a write is short, and then the disk is full": [short_and_full(number) for number in range(1, COMMITS + 1)],
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_call_that_fails_once_costs_nothing_wherever_it_falls(name: str, tmp_path: Path) -> None:
    found: dict[int, list[str]] = {}
    hits = 0
    async with open_nursery() as nursery:
        for number, faults in enumerate(FAULTS[name], 1):
            scenario = Scenario(name, say_and_say_again, Staging(faults=faults))
            world, row = await run_row(scenario, (), nursery, tmp_path / str(number))
            found[number] = row.faults + ["uncertain"] * row.verdict.uncertain
            hits += world.has_failed_commits

    assert {number: faults for number, faults in found.items() if faults} == {}
    assert hits >= (0 if name == "a write is short" else COMMITS)


@pytest.mark.parametrize("step", ["after header + message", "after send 1", "after answer", "after delivery"])
async def test_a_clock_that_goes_back_a_day_changes_nothing(step: str, tmp_path: Path) -> None:
    staging = Staging(clock_shifts_seconds=(0, -DAY_SECONDS))
    async with open_nursery() as nursery:
        _, row = await run_row(Scenario("back", say_and_say_again, staging), (Kill(step),), nursery, tmp_path)

    assert row.faults == []


async def test_a_second_daemon_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with (
        open_nursery() as nursery,
        open_world(tmp_path, nursery, Staging()) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        await world.until(
            lambda: {"getUpdates", "setMyCommands"} <= {method for method, _ in server_of(world.platform).calls}
        )
        calls = len(server_of(world.platform).calls)
        second = nursery.start(world.plan(), tmp_path / "second")
        refused = await second.ended()
        calls_of_second = len(server_of(world.platform).calls) - calls
        world.post("one")
        await world.settled()
        ended = await world.stop()

    assert (refused, calls_of_second, ended) == (75, 0, 0)
    assert world.shown == ["Answer 1 to one."]


@pytest.mark.parametrize(
    ("call", "code"),
    [("open", errno.EACCES), ("write", errno.EIO), ("fsync", errno.EIO), ("read", errno.EIO), ("pread", errno.EIO)],
)
async def test_a_file_that_fails_by_itself_is_set_aside_and_stalls_nobody(call: str, code: int, tmp_path: Path) -> None:
    bad = Fault(call=call, code=code, file="~7~~7.jsonl", times=1_000_000, only_old=True)
    async with (
        open_nursery() as nursery,
        open_world(tmp_path, nursery, Staging(faults=(bad,), faulty_run=1), (Kill("after delivery"),)) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        world.post("one")
        await world.until_killed(1)
        await world.until(world.is_alive)
        server_of(world.platform).post("two")
        server_of(world.platform).post("three", sender=8, chat=8)
        await world.until(lambda: not world.platform.open)
        await world.until(lambda: _last(world, 8).endswith("three.") and _last(world, 7).endswith("two."))
        ended = await world.stop()
        verified = await nursery.run(tmp_path / "verify", "--config", str(world.config), "sessions", "verify")
    [aside] = (tmp_path / "workspace" / "sessions").glob("*.aside-*")
    shown = world.shown

    assert sum(text.startswith("I could not read our conversation so far") for text in shown) == (call in READS)
    assert [text.split(" to ")[1] for text in shown if text.startswith("Answer")] == ["one.", "two."]
    assert [text.split(" to ")[1] for text in texts(server_of(world.platform).screen(8))] == ["three."]
    assert aside.read_bytes() == world.left[0]
    assert (ended, verified) == (0, 0)


def _last(world: World, chat: int) -> str:
    return next(reversed(texts(server_of(world.platform).screen(chat))), "")


@contextmanager
def mounted(*words: str | Path) -> Iterator[None]:
    """Mount something for as long as the block lasts; skip the test where that is not allowed."""
    done = subprocess.run(["mount", *words], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", words[-1]], check=True)


async def outlive(folder: Path, refuse: Callable[[], None], heal: Callable[[], None]) -> Verdict:
    """Say something while the disk refuses, and see it answered once it does not."""
    async with (
        open_nursery() as nursery,
        open_world(folder, nursery, Staging(most_units=4096)) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        world.post("one")
        await world.settled()
        before = world.content()
        refuse()
        world.post("two " * 1_000)  # more than the page that the file has already
        await world.until(lambda: world.has_failed_commits)
        during = world.content()
        heal()
        await world.settled()
        ended = await world.stop()
    verdict = judge(world)
    verdict.expect(during == before, "something was written to a disk that refuses")
    verdict.expect(ended == 0, f"exit code {ended}")
    return verdict


async def test_a_disk_that_is_really_full_is_outlived(tmp_path: Path) -> None:
    workspace = tmp_path / "workspace"
    workspace.mkdir(mode=0o700)
    filler = workspace / "filler"

    def fill() -> None:
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(512))

    with mounted("-t", "tmpfs", "-o", "size=256k", "none", workspace):
        verdict = await outlive(tmp_path, fill, filler.unlink)

        assert (verdict.faults, verdict.lost, verdict.doubles, verdict.uncertain) == ([], [], [], 0)


async def test_a_file_system_that_is_really_read_only_is_outlived(tmp_path: Path) -> None:
    sessions = tmp_path / "workspace" / "sessions"
    sessions.mkdir(mode=0o700, parents=True)

    def remount(mode: str) -> None:
        command: list[str | Path] = ["mount", "-o", f"remount,bind,{mode}", sessions]
        for _ in range(MOST_TRIES):
            done = subprocess.run(command, capture_output=True, check=False)
            if b"busy" not in done.stderr:
                assert (done.returncode, done.stderr) == (0, b"")
                return
            time.sleep(0.01)  # the last record can be read, but its file is still being flushed
        pytest.fail("the folder is busy without end")

    with mounted("--bind", sessions, sessions):
        verdict = await outlive(tmp_path, lambda: remount("ro"), lambda: remount("rw"))

        assert (verdict.faults, verdict.lost, verdict.doubles, verdict.uncertain) == ([], [], [], 0)

"""These tests check the simulation's own parts, such as its disk and its clock."""

from __future__ import annotations

import asyncio
import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from tests.simulation.dice import dice
from tests.simulation.disk import FOLDER, Storage
from tests.simulation.life import Life, Parts
from tests.simulation.loop import Died, Stuck, VirtualLoop, drain
from tests.simulation.script import LifeSpan, write_script
from tests.simulation.system import SimulatedSystem
from tests.simulation.world import World

PATH = FOLDER / "session.jsonl"


@dataclass
class Process:
    """Lives until told otherwise."""

    is_dead: bool = False

    def alive(self) -> None:
        if self.is_dead:
            raise Died

    def step(self, what: str) -> None:
        del what
        self.alive()

    def note(self, what: str, *details: object) -> None:
        del what, details


def system_of(storage: Storage, process: Process | None = None) -> SimulatedSystem:
    return SimulatedSystem(storage, process or Process(), lambda name: None)


def append(system: SimulatedSystem, content: bytes, *, flush: bool = True) -> None:
    fd = system.open(PATH, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    system.write(fd, memoryview(content))
    if flush:
        system.fsync(fd)
    system.close(fd)


def flush_folder(system: SimulatedSystem) -> None:
    system.fsync(system.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY, 0))


def after_power_cuts(*, flush: bool, folder: bool = True) -> set[bytes | None]:
    """Return what may be left of a file of which "sure" was flushed and "late" perhaps not."""
    left = set[bytes | None]()
    for seed in range(200):
        storage = Storage(dice(seed, "disk"))
        system = system_of(storage)
        append(system, b"sure")
        if folder:
            flush_folder(system)
        append(system, b"late", flush=flush)
        storage.lose_power()
        left.add(storage.seen(PATH.name) if PATH.name in storage.names else None)
    return left


def test_a_power_cut_takes_nothing_that_was_flushed() -> None:
    assert after_power_cuts(flush=True) == {b"surelate"}


def test_a_power_cut_takes_leaves_or_tears_what_was_not_flushed() -> None:
    left = after_power_cuts(flush=False)

    assert {b"sure", b"surelate", b"surel", b"sure\0\0\0\0"} <= left
    assert all(content and content.startswith(b"sure") and len(content) <= 8 for content in left)


def test_a_power_cut_may_take_a_file_whose_folder_was_not_flushed() -> None:
    assert after_power_cuts(flush=True, folder=False) == {b"surelate", None}


def test_a_flush_after_one_that_failed_may_say_that_all_is_well_and_lie() -> None:
    left = set()
    for seed in range(50):
        storage = Storage(dice(seed, "disk"))
        system = system_of(storage)
        storage.faults.once["flush"] = errno.EIO
        with pytest.raises(OSError, match="Input/output error"):
            append(system, b"first")
        append(system, b"second")
        left.add(storage.names[PATH.name].sure.rstrip(b"\0").hex())
        assert storage.seen(PATH.name) == b"firstsecond"

    assert left == {b"firstsecond".hex(), (bytes(5) + b"second").hex()}


def test_a_dead_process_changes_nothing_on_disk() -> None:
    storage, process = Storage(dice(0, "disk")), Process()
    system = system_of(storage, process)
    append(system, b"before")
    fd = system.open(PATH, os.O_WRONLY | os.O_APPEND, 0)
    process.is_dead = True
    with pytest.raises(Died):
        system.write(fd, memoryview(b"after"))
    with pytest.raises(Died):
        system.ftruncate(fd, 0)

    assert storage.seen(PATH.name) == b"before"


@contextmanager
def virtual_loop() -> Iterator[VirtualLoop]:
    loop = VirtualLoop(100.0, dice(0, "loop"), (0.5,))
    try:
        yield loop
    finally:
        drain(loop)


def test_a_day_passes_at_once() -> None:
    began = time.monotonic()
    with virtual_loop() as loop:
        loop.run_until_complete(asyncio.sleep(86_400))
        ended = loop.time()

    assert ended == pytest.approx(86_500)
    assert time.monotonic() - began < 5


def test_a_job_takes_its_time_before_it_begins_and_before_its_end_is_known() -> None:
    times = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: times.append(loop.time()))
        times.append(loop.time())

    with virtual_loop() as loop:
        loop.run_until_complete(work())

    assert times == [100.5, 101.0]


def test_waiting_for_what_never_comes_is_told() -> None:
    with virtual_loop() as loop, pytest.raises(Stuck, match="nothing is ever due"):
        loop.run_until_complete(asyncio.Event().wait())


def test_going_round_in_a_circle_is_told() -> None:
    async def circle() -> None:
        while True:  # noqa: ASYNC110 - that is the fault
            await asyncio.sleep(0)

    with virtual_loop() as loop, pytest.raises(Stuck, match="in a circle"):
        loop.run_until_complete(circle())


class Buggy(Parts):
    """Has a bug in what runs on a thread."""

    def system(self, life: Life) -> SimulatedSystem:
        """Return one whose folder cannot be listed for no reason that a disk gives."""
        system = super().system(life)
        system.scandir = _buggy  # type: ignore[method-assign]
        return system


def _buggy(path: Path) -> NoReturn:
    raise KeyError(path)


def test_a_bug_that_nobody_catches_is_told() -> None:
    world = World(write_script(0))
    Life(world, LifeSpan(5, None, loses_power=False, down_seconds=1), Buggy()).run()

    assert any("KeyError" in fault for fault in world.faults)

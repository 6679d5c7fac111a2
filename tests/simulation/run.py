"""This module runs a seed from its first life to its last, and reports what did not hold."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.simulation.check import check
from tests.simulation.history import History
from tests.simulation.life import Life, Parts
from tests.simulation.loop import Stuck
from tests.simulation.script import LifeSpan, write_script
from tests.simulation.watch import records_of
from tests.simulation.world import World

__all__ = ["Outcome", "play"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended."""

    seed: int
    faults: tuple[str, ...]
    history: History

    def report(self) -> str:
        """Return what to read after a failure."""
        wrong = "\n".join(f"  - {fault}" for fault in self.faults)
        again = f".venv/bin/python -m tests.simulation --seeds {self.seed}:{self.seed + 1}"
        return f"seed {self.seed}: {len(self.faults)} wrong\n{self.history.text()}\n{wrong}\nagain: {again}"


def play(seed: int, parts: Parts | None = None, *, blind: bool = False) -> Outcome:
    """Run a seed, with these parts where some are to be wrong; `blind`: judge by outcomes alone."""
    world = World(write_script(seed))
    world.watch.is_blind = blind
    with _memory_held_still():
        _play(world, parts or Parts())
    return Outcome(seed, tuple(world.faults), world.history)


def _play(world: World, parts: Parts) -> None:
    try:
        for span in world.script.lives:
            _live(world, span, parts)
            _rest(world, span)
        world.heal()
        _live(world, None, parts)
        check(world)
    except Stuck as fault:
        world.fail(f"stuck: {fault}")


@contextmanager
def _memory_held_still() -> Iterator[None]:
    """Free what is in cycles only where the script says so: the store holds sessions weakly."""
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def _live(world: World, span: LifeSpan | None, parts: Parts) -> None:
    world.life += 1
    storage = world.storage
    before = {name: storage.seen(name) for name in storage.names if name.endswith(".jsonl")}
    for name, content in before.items():
        world.watch.stays(name, content)
        # A crash tears one line; a loss of power may also leave a hole before it, which swallows newlines.
        most = world.torn.get(name, 0) + (2 if world.has_lost_power else 1)
        world.torn[name] = min(_damaged_lines(content), most)
    world.has_lost_power = False
    world.note("life", "begins", *(f"{name}: {len(content)} bytes" for name, content in before.items()))
    has_died = Life(world, span, parts).run()
    for name, content in before.items():
        if name not in storage.abandoned and not storage.seen(name).startswith(content):
            world.fail(f"{name}: bytes of an earlier life changed")
    for file in storage.names.values():
        file.evict()
    if has_died:
        world.cut_lives.add(world.life)
        if span is not None and span.loses_power:
            storage.lose_power()
            world.boots += 1
            world.has_lost_power = True
            world.kept.lose_power()
            world.note("power", "is lost")


def _rest(world: World, span: LifeSpan) -> None:
    """Let time pass without a process; people write on."""
    until = world.now + span.down_seconds
    while (at := world.next_deed_at()) is not None and at <= until:
        world.now = max(world.now, at)
        world.act()
    world.now = until


def _damaged_lines(content: bytes) -> int:
    whole = sum(1 for _ in records_of(content))
    return sum(1 for line in content.split(b"\n") if line.strip()) - whole

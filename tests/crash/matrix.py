"""This module runs the kill matrix: each scenario is killed at each step that it passes, restarted, and judged.

    python -m tests.crash.matrix [--platform NAME] [SCENARIO ...]

prints two tables: the summary, which docs/durability.md holds, and the rows, which docs/durability-matrix.md holds for
Telegram.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from agentd.transcript.mending import examine
from tests.crash.judge import Verdict, judge
from tests.crash.nursery import Nursery, open_nursery
from tests.crash.platform import NAMES
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.world import DaemonFailed, Kill, World, open_world

LIMIT_SECONDS = 20
"""What is not settled after so long is lost."""

AT_ONCE = 2
"""Rows that run side by side."""

TORN_ON = "telegram"
FIRST_RECORD = "after header + message"

ONCE = "once"
BESIDE = "once, and a marked copy"
ALONE = "marked as a copy; the first had not arrived"

_MAY_BE_UNCERTAIN = re.compile(
    r"after (sent \d+ \+ )?sending|(before|after) (send|update) |effect \| reply|(before|within) sent|while"
)
"""From the record that a message is being sent, to the one that it was. Beside an update that is taken in, a
confirmation that is held back, and the model that goes on, a reply goes on its way."""


NOT_REACHED = "the step was not reached"
TRIES = 3
"""On a slow machine a reply may be whole before it has grown, and pass no edit: that run says nothing of one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scenario, killed at one place."""

    scenario: Scenario
    kill: Kill
    verdict: Verdict
    was_killed: bool
    exit_code: int
    is_damaged: bool
    """What `agentd sessions verify` would say of the files."""
    log: str
    drops_copies: bool
    """Whether the platform drops a second copy of a message."""

    @property
    def faults(self) -> list[str]:
        """Return what is wrong, in sentences."""
        verdict = self.verdict
        found = [*verdict.faults, *(f"lost: {text}" for text in verdict.lost)]
        found += [f"double: {text}" for text in verdict.doubles]
        if not self.was_killed:
            found.append(NOT_REACHED)
        if verdict.uncertain and not self._may_be_uncertain:
            found.append("uncertain, though everything was known")
        if self.exit_code:
            found.append(f"exit code {self.exit_code}")
        if self.is_damaged != bool(verdict.torn):
            found.append("the files are damaged" if self.is_damaged else "the torn record is not found")
        return found

    @property
    def _may_be_uncertain(self) -> bool:
        if self.drops_copies and not self.scenario.staging.clock_shifts_seconds:
            return False
        return bool(self.scenario.before) or bool(_MAY_BE_UNCERTAIN.match(self.kill.at))

    @property
    def outcome(self) -> str:
        """Say in a few words how it went."""
        if self.faults:
            return "; ".join(self.faults)
        if not self.verdict.uncertain:
            return ONCE
        return BESIDE if self.verdict.originals else ALONE


async def run_rows(scenario: Scenario, nursery: Nursery, folder: Path) -> list[Row]:
    """Run a scenario unkilled to learn its steps, then once for each of them."""
    world, row = await run_row(scenario, (), nursery, folder / "0")
    assert not row.faults, f"{scenario.name}, not killed: {row.outcome}"
    kills = [kill for kill in find_kills(world) if kill.within != "request" or scenario.asks_alike]
    rows: list[Row | None] = [None] * len(kills)
    waiting = iter(enumerate(kills))

    async def work() -> None:
        for index, kill in waiting:
            rows[index] = await _run_reached(scenario, kill, nursery, folder / str(index + 1))

    async with asyncio.TaskGroup() as tasks:
        for number in range(AT_ONCE):
            tasks.create_task(work(), name=f"rows {number}")
    return [row for row in rows if row is not None]


async def _run_reached(scenario: Scenario, kill: Kill, nursery: Nursery, folder: Path) -> Row:
    """Run a scenario until the kill is reached, some times at most; what else goes wrong is wrong in any of them."""
    for attempt in range(1, TRIES):
        _, row = await run_row(scenario, (kill,), nursery, folder / str(attempt))
        if row.faults != [NOT_REACHED]:
            return row
    return (await run_row(scenario, (kill,), nursery, folder / str(TRIES)))[1]


async def run_row(scenario: Scenario, kills: tuple[Kill, ...], nursery: Nursery, folder: Path) -> tuple[World, Row]:
    """Run a scenario, kill it, start it again, and judge."""
    kills = (*scenario.before, *kills)
    async with open_world(folder, nursery, scenario.staging, kills) as world, asyncio.TaskGroup() as tasks:
        tasks.create_task(world.keep_running(), name="daemon")
        with suppress(TimeoutError, DaemonFailed):
            async with asyncio.timeout(LIMIT_SECONDS):
                if not world.platform.replays:
                    await world.until(world.is_alive)
                await scenario.play(world)
                await world.finish()
        exit_code = await world.stop()
    row = Row(
        scenario=scenario,
        kill=kills[-1] if kills else Kill("nowhere"),
        verdict=judge(world),
        was_killed=len(world.left) == len(kills),
        exit_code=exit_code,
        is_damaged=any(finding.is_damage for path in world.sessions for finding in examine(path)),
        log=(folder / "log").read_text("utf-8"),
        drops_copies=world.platform.drops_copies,
    )
    return world, row


def find_kills(world: World) -> Iterator[Kill]:
    """Yield every place at which the last run of an unkilled scenario can be killed, in the order of passing."""
    for step in _find_steps(world):
        yield Kill(step)
        called = re.fullmatch(r"before (send|edit|delete) (\d+)", step)
        if called:
            yield Kill.inside(called[1], int(called[2]))
    for call in world.platform.besides:
        for number in range(1, world.count(call) + 1):
            yield Kill.inside(call, number)
    for number in range(1, world.asked + 1):
        yield Kill.inside("request", number)


def _find_steps(world: World) -> list[str]:
    """Return the steps to be killed at: within records on one platform alone, since the disk is the same for all.

    Where nothing is delivered again, a person's very first message cannot be found before it is on disk.
    """
    steps = world.runs[-1].steps
    if not world.platform.replays and FIRST_RECORD in steps:
        steps = steps[steps.index(FIRST_RECORD) :]
    return [step for step in steps if world.channel == TORN_ON or not step.startswith("within ")]


def as_table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield "| row | scenario | killed | lost | unmarked doubles | outcome |"
    yield "|---:|---|---|---:|---:|---|"
    for number, row in enumerate(rows, 1):
        found = row.verdict
        cells = (row.scenario.name, row.kill.at.replace("|", "to"), len(found.lost), len(found.doubles), row.outcome)
        yield f"| {number} | {' | '.join(map(str, cells))} |"


def as_summary(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table with a row for each scenario."""
    yield "| scenario | kill points | lost | unmarked doubles | answered once | copy beside the first | copy alone |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for scenario in dict.fromkeys(row.scenario for row in rows):
        of = [row for row in rows if row.scenario is scenario]
        lost, doubles = sum(len(row.verdict.lost) for row in of), sum(len(row.verdict.doubles) for row in of)
        ways = Counter(row.outcome for row in of)
        counts = (len(of), lost, doubles, ways[ONCE], ways[BESIDE], ways[ALONE])
        yield f"| {scenario.name} | {' | '.join(map(str, counts))} |"


async def _print_all(channel: str, names: Sequence[str]) -> int:
    chosen = [scenario for scenario in SCENARIOS[channel] if not names or scenario.name in names]
    rows: list[Row] = []
    with TemporaryDirectory() as folder:
        async with open_nursery(channel) as nursery:
            for number, scenario in enumerate(chosen):
                rows += await run_rows(scenario, nursery, Path(folder) / str(number))
    sys.stdout.writelines(f"{line}\n" for line in (*as_summary(rows), "", *as_table(rows)))
    bad = [row for row in rows if row.faults]
    for row in bad:
        sys.stderr.write(f"== {row.scenario.name}, {row.kill.at}: {row.outcome}\n{row.log}\n")
    sys.stderr.write(f"{len(rows)} rows, {len(bad)} of them bad\n")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The matrix of one platform.")
    parser.add_argument("--platform", choices=NAMES, default=NAMES[0])
    parser.add_argument("scenarios", nargs="*", help="only these")
    options = parser.parse_args()
    sys.exit(asyncio.run(_print_all(options.platform, options.scenarios)))

"""These tests kill the daemon at every step of a turn, and restart it: nothing is lost, nothing is sent twice."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from tests.crash.judge import judge
from tests.crash.matrix import ALONE, BESIDE, ONCE, run_rows
from tests.crash.nursery import open_nursery
from tests.crash.platform import NAMES
from tests.crash.scenarios import BRIEF, SCENARIOS, Scenario
from tests.crash.world import Kill, Staging, open_world

DOCS = Path(__file__).parents[2] / "docs"

COLUMNS = 7
"""Of the summary in the document: a scenario, its kill points, lost, doubles, and three ways to come out well."""

SECTIONS = {"telegram": "## Killed at every step", "discord": "## On Discord", "slack": "## On Slack"}
"""Where the document has them."""

FEWEST_ROWS = 15
"""The shortest run that begins with a kill still passes so many steps; all scenarios together pass hundreds."""

LIMIT_SECONDS = 60
MINUTE_SECONDS = 60

ROWS = [
    pytest.param(channel, scenario, id=f"{channel}: {scenario.name}")
    for channel, scenarios in SCENARIOS.items()
    for scenario in scenarios
    if channel not in BRIEF or scenario.name in BRIEF[channel]
]


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("channel", "scenario"), ROWS)
async def test_wherever_it_is_killed_each_message_has_one_end_and_each_reply_is_shown_once(
    channel: str, scenario: Scenario, tmp_path: Path
) -> None:
    async with open_nursery(channel) as nursery:
        rows = await run_rows(scenario, nursery, tmp_path)

    assert {row.kill.at: row.faults for row in rows if row.faults} == {}
    assert len(rows) >= FEWEST_ROWS


async def test_discord_gives_nobody_the_first_message_of_a_stranger_that_no_disk_had_and_the_next_is_answered(
    tmp_path: Path,
) -> None:
    async with (
        open_nursery("discord") as nursery,
        open_world(tmp_path, nursery, Staging(), (Kill("before header + message"),)) as world,
        asyncio.timeout(LIMIT_SECONDS),
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(world.keep_running(), name="daemon")
        await world.until(lambda: bool(world.runs) and world.is_alive())
        world.platform.post("one", time.time() - MINUTE_SECONDS, None)
        await world.until_killed(1)
        await world.until(world.is_alive)
        world.post("two")
        await world.finish()
        ended = await world.stop()
    verdict = judge(world)

    assert (verdict.faults, verdict.lost, verdict.doubles, ended) == ([], [], [], 0)
    assert world.shown == ["Answer 1 to two."]


def section_of(channel: str) -> str:
    text = (DOCS / "durability.md").read_text("utf-8")
    return text.partition(f"{SECTIONS[channel]}\n")[2].partition("\n## ")[0]


def summary_of(section: str) -> dict[str, list[int]]:
    """Return the numbers of each scenario."""
    summary = [line for line in section.splitlines() if line.count("|") == COLUMNS + 1]
    return {
        cells[1].strip(): [int(cell) for cell in cells[2:-1]] for cells in (line.split("|") for line in summary[2:])
    }


@pytest.mark.parametrize("channel", NAMES)
def test_the_document_has_every_scenario_and_no_fault(channel: str) -> None:
    section = section_of(channel)
    rows = summary_of(section)
    told = re.search(r"^(\d+) rows: (\d+) lost, (\d+) unmarked doubles\.", section, re.MULTILINE)

    assert list(rows) == [scenario.name for scenario in SCENARIOS[channel]]
    assert told
    assert [int(number) for number in told.groups()] == [sum(column) for column in zip(*rows.values(), strict=True)][:3]
    assert all(lost == doubles == 0 and points == sum(ways) for points, lost, doubles, *ways in rows.values())


def test_the_rows_that_are_kept_are_those_of_the_summary() -> None:
    lines = (DOCS / "durability-matrix.md").read_text("utf-8").splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if re.match(r"\| \d", line)]

    def counted(name: str) -> list[int]:
        mine = [row for row in rows if row[1] == name]
        ways = [row[5] for row in mine]
        unsound = [sum(int(row[column]) for row in mine) for column in (3, 4)]
        return [len(mine), *unsound, ways.count(ONCE), ways.count(BESIDE), ways.count(ALONE)]

    summary = summary_of(section_of("telegram"))
    assert [int(row[0]) for row in rows] == list(range(1, len(rows) + 1))
    assert {row[1] for row in rows} == set(summary)
    assert {name: counted(name) for name in summary} == summary

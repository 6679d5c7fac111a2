"""The daemon as a process, killed at every step of a turn and started again: nothing lost, nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.matrix import run_rows
from tests.crash.nursery import open_nursery
from tests.crash.scenarios import SCENARIOS, Scenario

COLUMNS = 7
"""Of the summary in the document: a scenario, its kill points, lost, doubles, and three ways to come out well."""

FEWEST_ROWS = 15
"""The shortest run that begins with a kill still passes so many steps; all scenarios together pass hundreds."""


@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_wherever_it_is_killed_each_message_has_one_end_and_each_reply_is_shown_once(
    scenario: Scenario, tmp_path: Path
) -> None:
    async with open_nursery() as nursery:
        rows = await run_rows(scenario, nursery, tmp_path)

    assert {row.kill.at: row.faults for row in rows if row.faults} == {}
    assert len(rows) >= FEWEST_ROWS


def test_the_document_has_every_scenario_and_no_fault() -> None:
    text = (Path(__file__).parents[2] / "docs" / "durability.md").read_text("utf-8")
    summary = [line for line in text.splitlines() if line.count("|") == COLUMNS + 1]
    rows = {
        cells[1].strip(): [int(cell) for cell in cells[2:-1]] for cells in (line.split("|") for line in summary[2:])
    }

    assert list(rows) == [scenario.name for scenario in SCENARIOS]
    assert all(lost == doubles == 0 and points == sum(ways) for points, lost, doubles, *ways in rows.values())

"""These tests run some weeks of one conversation, with the checks of the year that `python -m tests.longhaul` runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.longhaul.run import Plan, run

LIMIT_SECONDS = 60
SHORT = Plan(turns=240, restarts=2, context_tokens=16_000)


async def test_a_conversation_without_an_end_keeps_within_its_budget_and_loses_nothing(tmp_path: Path) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        tally = await run(SHORT, tmp_path)
    tally.cpu_ms = 0  # nobody can tell beside other tests

    assert tally.faults == []
    assert tally.made >= 5
    assert tally.compared >= 4
    assert tally.fullest > 0.5

"""These tests break connections while people talk: everything is answered, once. `python -m tests.load` runs longer."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.load.run import Plan, run

LIMIT_SECONDS = 60
SHORT = Plan(
    people=25,
    loss_seconds=2,
    calm_seconds=1,
    patience_seconds=1.5,
    again_seconds=(0, 1, 2),
    piece_seconds=0.05,
    limit_seconds=30,
)
"""Losses are short, and what is told again comes soon after."""


@pytest.mark.parametrize(("platform", "streams"), [("discord", True), ("slack", False)])
async def test_nothing_is_lost_or_said_twice_when_connections_break_under_load(
    platform: str, streams: bool, tmp_path: Path
) -> None:
    """Slack lets its messages change fifty times a minute: there, answers come whole."""
    async with asyncio.timeout(LIMIT_SECONDS):
        report = await run(platform, SHORT, tmp_path, streams=streams)

    assert report.faults == []
    assert all(tally.written >= SHORT.people // 5 for tally in report.tallies.values())

"""These tests run a soak of seconds; `python -m tests.soak` runs one as long as you like."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.soak.judge import Evidence, judge
from tests.soak.run import Plan, run

LIMIT_SECONDS = 100
SHORT = Plan(
    seconds=6,
    people=12,
    kill_seconds=4,
    pause_seconds=1,
    patience_seconds=2,
    fault_share=0.05,
    storm_seconds=60,
    slow_share=0.05,
    slow_seconds=0.2,
    again_seconds=(0, 1, 2, 4, 8),
    piece_seconds=0.02,
    limit_seconds=60,
)


async def test_people_on_three_platforms_lose_nothing_while_everything_fails_at_times_and_the_daemon_is_killed(
    tmp_path: Path,
) -> None:
    async with asyncio.timeout(LIMIT_SECONDS):
        report = await run(SHORT, tmp_path)

    assert report.faults == []
    assert [life.was_killed for life in report.lives] == [True, False]
    assert all(life.samples for life in report.lives)
    assert report.faults_made
    assert len(report.evidence.files) == SHORT.people
    assert report.verdict.written > 2 * SHORT.people
    _check_that_it_would_have_been_found(report.evidence)


def _check_that_it_would_have_been_found(evidence: Evidence) -> None:
    """Take one answer off the screen, and show it once more: else what was not found would show nothing."""
    shown = evidence.screens["telegram"]
    times = Counter(name for one in shown for name in one.names)
    answer = next(one for one in shown if one.is_whole and all(times[name] == 1 for name in one.names))
    fewer = {**evidence.screens, "telegram": [one for one in shown if one is not answer]}
    more = {**evidence.screens, "telegram": [*shown, replace(answer, message_id="")]}

    assert {lost.split()[0].rstrip(":") for lost in judge(replace(evidence, screens=fewer)).lost} == set(answer.names)
    assert sorted(judge(replace(evidence, screens=more)).doubles) == sorted(answer.names)

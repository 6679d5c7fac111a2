"""These tests check when a failed task is tried again."""

from __future__ import annotations

from agentd.tasks.backoff import pause_seconds


def test_pauses_grow_to_six_hours_and_no_further() -> None:
    assert [pause_seconds(failures) for failures in (1, 2, 3, 4)] == [30, 120, 480, 1920]
    assert pause_seconds(1000) == 6 * 3600

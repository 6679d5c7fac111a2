"""These tests run a thousand seeds of the daemon's core: in none is anything lost, doubled or mixed up."""

from __future__ import annotations

import pytest

from tests.simulation.run import play

SEEDS = 1_000
CHUNKS = 8


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_whatever_goes_wrong_every_message_has_its_one_end(chunk: int) -> None:
    outcomes = map(play, range(chunk, SEEDS, CHUNKS))
    failed = [outcome for outcome in outcomes if outcome.faults]

    assert not failed, f"{len(failed)} seeds: {[outcome.seed for outcome in failed]}\n{failed[0].report()}"

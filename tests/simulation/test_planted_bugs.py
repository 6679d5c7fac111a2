"""These tests check that the simulation finds planted bugs, when they happen and by their outcomes alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.simulation.plants import PLANTS
from tests.simulation.run import Outcome, play

MOST_SEEDS = 1_000


def found_by(plant: str, *, blind: bool) -> Iterator[Outcome]:
    """Yield the seeds that fail with the bug, and do not without it."""
    for seed in range(MOST_SEEDS):
        outcome = play(seed, PLANTS[plant](), blind=blind)
        if outcome.faults and not play(seed, blind=blind).faults:
            yield outcome


@pytest.mark.parametrize("blind", [False, True], ids=["at the moment", "by outcomes alone"])
@pytest.mark.parametrize("plant", PLANTS)
def test_a_planted_bug_is_found_and_found_again(plant: str, blind: bool) -> None:
    found = next(found_by(plant, blind=blind), None)

    assert found is not None
    again = play(found.seed, PLANTS[plant](), blind=blind)
    assert again.faults == found.faults
    assert again.report() == found.report()


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        ("ack-before-append", "was confirmed, and a power cut now would lose it"),
        ("append-without-flush", "was confirmed, and a power cut now would lose it"),
        ("folder-not-flushed", "was confirmed, and a power cut now would lose it"),
        ("answer-twice", "without a mark"),
        ("accept-twice", "stands 2 times"),
        ("cover-too-far", "had ended"),
    ],
)
def test_what_is_said_of_a_planted_bug_names_it(plant: str, says: str) -> None:
    assert any(says in fault for outcome in found_by(plant, blind=False) for fault in outcome.faults)

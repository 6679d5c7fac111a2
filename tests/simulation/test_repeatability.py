"""These tests check that one seed is one run: the same in every process, whatever order Python's hashes have."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.run import play

ROOT = Path(__file__).parents[2]
SEEDS = range(0, 200, 5)
DIGEST = """
import sys
from tests.simulation.test_repeatability import digest
print(digest())
"""


def digest() -> str:
    """Return what all the playbooks have in common with nothing else."""
    return hashlib.sha256("\n".join(play(seed).history.text() for seed in SEEDS).encode()).hexdigest()


def test_a_seed_has_the_same_playbook_every_time() -> None:
    assert [play(seed).history.text() for seed in SEEDS] == [play(seed).history.text() for seed in SEEDS]


@pytest.mark.parametrize("hash_seed", ["0", "1", "random"])
def test_a_seed_has_the_same_playbook_in_every_process(hash_seed: str) -> None:
    words = [sys.executable, "-c", DIGEST]
    ended = subprocess.run(
        words, cwd=ROOT, env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() == digest()


def test_no_two_seeds_are_the_same_run() -> None:
    assert len({play(seed).history.text() for seed in SEEDS}) == len(SEEDS)


def test_the_runs_meet_what_they_are_for() -> None:
    playbooks = "\n".join(play(seed).history.text() for seed in range(300))
    wanted = (
        "has died",
        "has ended in order",
        "power    is lost",
        "is asked to end",
        "ack      u1 is lost",
        "Sent again",
    )
    faults = ("ENOSPC", "EIO", "EACCES", "the answer was lost", "the request was lost", "nothing was sent", "refused")
    said = ("deleted", "edited to", "command name=retry", "reset reason=new", "reason=stale", "outcome=interrupted")

    assert [word for word in (*wanted, *faults, *said) if word not in playbooks] == []

"""This module sets the order of the tests, and when Python collects garbage.

Those that take long begin first, so that no worker is left alone with one at the end.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

LONG = ("soak", "systemd", "load", "longhaul", "crash", "simulation", "flow", "contract")
"""Folders of tests whose tests take long, the longest first."""

WHOLE_EVERY = 50
"""After so many looks at what is young, one at everything: about as often as while what was imported counted."""

# What properties claim is no matter of time, and the machine may be busy.
settings.register_profile("calm", deadline=None, suppress_health_check=[HealthCheck.too_slow])
if "tests.mutation.quickest" not in sys.modules:  # that has a profile of its own
    settings.load_profile("calm")

# httpcore asks at every lock for a package that is not there: to look for it is a twentieth of what a request takes.
sys.modules["sniffio"] = None  # type: ignore[assignment]

# Until all is collected: what is imported stays, and to look for garbage in it took two fifths of that time.
gc.disable()


def pytest_collection_finish() -> None:
    """Look for garbage from here on, but not in what was imported: that held a test up for most of a second."""
    gc.freeze()
    gc.set_threshold(*gc.get_threshold()[:2], WHOLE_EVERY)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by folder; what is in one stays in its order."""
    items.sort(key=lambda item: _rank(item.path))


def _rank(path: Path) -> int:
    folder = path.relative_to(Path(__file__).parent).parts[0]
    if path.name == "test_matrix.py":
        return -1
    return LONG.index(folder) if folder in LONG else len(LONG)

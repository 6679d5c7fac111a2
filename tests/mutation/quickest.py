"""This plugin orders tests for mutated code: the quickest first, and fewer examples of each property.

A change that no test sees costs the time of all tests that reach it, one that is seen only the time until then. What
they take is known from the run that found out which test reaches what; without it, tests stay in their order.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import settings

TIMES = Path("mutmut-stats.json")
"""Written by mutmut into the folder that it runs the tests in."""

EXAMPLES = 30

settings.register_profile("mutants", max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
settings.load_profile("mutants")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by what a test took."""
    if TIMES.exists():
        seconds = json.loads(TIMES.read_text("utf-8"))["duration_by_test"]
        items.sort(key=lambda item: float(seconds.get(item.nodeid, 0)))

"""These tests check the mutation score: how many mutants the tests notice, counted from mutmut's files."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.score import Score, report, scores

FAILED, PASSED, ENDED_FOR_ITS_TIME, NO_TEST = 1, 0, -24, 33


def test_what_no_test_reaches_counts_as_unnoticed_and_what_was_not_tried_as_neither(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    codes = {"a": FAILED, "b": ENDED_FOR_ITS_TIME, "c": PASSED, "d": NO_TEST, "e": None}
    written = ", ".join(f'"{name}": {"null" if code is None else code}' for name, code in codes.items())
    (tmp_path / "memory" / "fact_filter.py.meta").write_text(f'{{"exit_code_by_key": {{{written}}}, "more": 1}}')

    assert scores(tmp_path, ["memory/own.py", "memory/fact_filter.py"]) == [Score("memory/fact_filter.py", 2, 2, 1)]


@pytest.mark.parametrize(
    ("found", "enough"),
    [
        ([Score("a.py", 85, 15, 0)], True),
        ([Score("a.py", 70, 30, 0), Score("b.py", 100, 0, 0)], True),
        ([Score("a.py", 84, 16, 0)], False),
        ([Score("a.py", 100, 0, 1)], False),
        ([], False),
    ],
)
def test_it_is_enough_when_all_was_tried_and_the_bar_is_kept_over_all(found: list[Score], enough: bool) -> None:
    lines, is_enough = report(found)

    assert is_enough is enough
    assert len(lines) == len(found) + 1

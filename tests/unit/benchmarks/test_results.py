"""These tests check what `make bench` runs, and what it writes."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest

from benchmarks.measuring.results import Machine, Measured, look_at_machine, render
from benchmarks.measuring.suite import MOST_SECONDS, ROOT, SUITE, Entry, run
from benchmarks.measuring.table import Bound, Given, Heading, LeftOut, Row, Table, handing_over, needs, read_rows

MACHINE = Machine("A processor", 2, 3.75, "Linux 6.1", "3.11.7", "abc1234", "2026-01-02 03:04 UTC")
ROWS = [
    Row("start", 0.512, "s", 0.256, (Bound("ratio", 2.5),)),
    Row("resident", 60.0, "MB", 50.0, (Bound("more", 4.0),)),
    Row("appends", 2_500.0, "/s", 1_000.0, (Bound("figure", 2_000, is_least=True), Bound("ratio", 3.0, is_least=True))),
    Row("a | b", 1_234.5, "us"),
]
LACKING = "the extra `local` is not installed (no_such_module)"
RENDERED = """\
## Starting

The floor is an interpreter.

`benchmarks/startup.py`, 12 s, load 0.50 when it began.

| figure | measured | floor | ratio | bound |
| --- | ---: | ---: | ---: | --- |
| start | 0.512 s | 0.256 s | x 2 | at most x 2.5: kept |
| resident | 60 MB | 50 MB | x 1.20 | at most 4 MB more: MISSED |
| appends | 2,500 /s | 1,000 /s | x 2.50 | at least 2,000 /s or at least x 3: kept |
| a \\| b | 1,234 us |  |  |  |
"""


def measured(rows: list[Row], remark: str = "") -> Measured:
    return Measured("startup", Heading("Starting", "The floor is an interpreter."), rows, 12.2, 0.5, remark)


def write_benchmark(root: Path, body: str) -> Entry:
    """Write a benchmark that hands over a row and then does this."""
    (root / "benchmarks").mkdir()
    lines = [
        "import sys, time",
        f"sys.path.insert(1, {str(ROOT)!r})",
        "import benchmarks",
        f"benchmarks.__path__.append({str(ROOT / 'benchmarks')!r})",
        "from benchmarks.measuring.table import LeftOut, handing_over",
        "with handing_over('Title', 'Floor.') as (given, table):",
        "    table.add('size', given.size(1, 2), '')",
        f"    {body}",
    ]
    (root / "benchmarks/example.py").write_text("\n".join(lines), encoding="utf-8")
    return Entry("example", 20)


def test_every_benchmark_is_run() -> None:
    files = {path.stem for path in (ROOT / "benchmarks").glob("*.py")}

    assert sorted(entry.name for entry in SUITE) == sorted(files - {"__main__"})


def test_every_benchmark_hands_its_figures_over() -> None:
    for entry in SUITE:
        tree = ast.parse((ROOT / "benchmarks" / f"{entry.name}.py").read_text("utf-8"))
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }

        assert "handing_over" in called, entry.name


def test_all_of_them_end_within_five_minutes() -> None:
    assert sum(entry.share_seconds for entry in SUITE) <= MOST_SECONDS == 300


def test_a_table_shows_each_figure_beside_its_floor_their_ratio_and_the_bound() -> None:
    assert render(MACHINE, (0.5, 1.25), [measured(ROWS)]).endswith(RENDERED)


def test_the_document_begins_with_the_machine_and_how_many_bounds_are_kept() -> None:
    head = render(MACHINE, (0.5, 1.25), [measured(ROWS), measured([])]).partition("## Starting")[0]

    assert "| processor | A processor |" in head
    assert "| cores | 2 |" in head
    assert "| kernel | Linux 6.1 |" in head
    assert "| Python | 3.11.7 |" in head
    assert "| load before, after | 0.50, 1.25 |" in head
    assert "| date | 2026-01-02 03:04 UTC |" in head
    assert "| commit | abc1234 |" in head
    assert "| bounds | 2 of 3 kept |" in head


def test_what_is_left_out_says_why_and_has_no_table() -> None:
    text = render(MACHINE, (0, 0), [measured([], "Left out: the extra `local` is not installed.")])

    assert text.endswith("load 0.50 when it began. Left out: the extra `local` is not installed.\n")


def test_a_bound_on_the_ratio_is_missed_where_there_is_no_floor_to_compare_with() -> None:
    assert Row("x", 1.0, "s", None, (Bound("ratio", 2.0),)).is_kept is False
    assert Row("x", 1.0, "s", 0.0, (Bound("ratio", 2.0),)).is_kept is False
    assert Row("x", 1.0, "s", None, (Bound("figure", 2.0),)).is_kept is True
    assert Row("x", 1.0, "s").is_kept is None


def test_what_is_handed_over_reads_back_but_for_a_line_that_was_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows"
    with path.open("wb") as file:
        table = Table(file)
        table.write(Heading("Title", "Floor."))
        for row in ROWS:
            table.write(row)
    whole = path.read_bytes().splitlines(keepends=True)

    assert read_rows(whole) == (Heading("Title", "Floor."), ROWS, "")
    assert read_rows([*whole[:-1], whole[-1][:-5]]) == (Heading("Title", "Floor."), ROWS[:-1], "")


def test_the_size_is_what_the_call_says() -> None:
    assert Given().size(1, 2) == 2
    assert Given(short=True).size(1, 2) == 1
    assert Given(short=True, words=("7",)).size(1, 2) == 7


def test_a_missing_extra_is_named() -> None:
    needs("local", "json")
    with pytest.raises(LeftOut, match=r"the extra `local` is not installed \(no_such_module\)"):
        needs("local", "json", "no_such_module")


def test_a_reason_ends_a_benchmark_without_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "--short", "--rows", str(tmp_path / "rows")])
    with handing_over("Title", "Floor.") as (given, table):
        assert given.short
        table.add("figure", 1.0, "s", 2.0)
        needs("local", "no_such_module")

    handed = read_rows((tmp_path / "rows").read_bytes().splitlines(keepends=True))
    assert handed == (Heading("Title", "Floor."), [Row("figure", 1.0, "s", 2.0)], LACKING)


@pytest.mark.parametrize(
    ("body", "remark"),
    [
        ("pass", ""),
        ("raise LeftOut('it is Sunday')", "Left out: it is Sunday."),
        ("sys.exit(3)", "**Ended with 3**: what was to come is missing."),
    ],
)
def test_a_benchmark_runs_at_its_short_size_and_what_it_handed_over_counts(
    tmp_path: Path, body: str, remark: str
) -> None:
    came = run(write_benchmark(tmp_path, body), 60, tmp_path)

    assert (came.heading, came.rows, came.remark) == (Heading("Title", "Floor."), [Row("size", 1, "")], remark)


def test_a_benchmark_that_does_not_end_is_cut_off(tmp_path: Path) -> None:
    came = run(write_benchmark(tmp_path, "time.sleep(600)"), 0.5, tmp_path)

    assert came.remark.startswith("**Cut off")
    assert came.seconds < 60


def test_the_machine_is_read_from_the_system() -> None:
    machine = look_at_machine(ROOT)

    assert machine.cores == len(os.sched_getaffinity(0))
    assert machine.kernel.startswith("Linux ")
    assert machine.processor

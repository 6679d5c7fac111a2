"""This module defines a benchmark's results: rows of a figure, its floor, their ratio and a bound, under a heading.

Each row is printed at once, and with `--rows FILE` also written there, so that a benchmark that is cut off has still
delivered its rows. `python -m benchmarks.NAME` measures at full size, with `--short` in less than a minute.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

__all__ = ["Bound", "Given", "Heading", "LeftOut", "Row", "Table", "handing_over", "needs", "number", "read_rows"]


@dataclass(frozen=True, slots=True)
class Bound:
    """The bound of a row: on its ratio to the floor, on the figure itself, or on its difference from the floor."""

    of: Literal["ratio", "figure", "more"]
    limit: float
    is_least: bool = False
    """Whether the limit is a lower bound instead of an upper one."""

    def is_kept(self, figure: float, floor: float | None) -> bool:
        """Tell whether a figure keeps the bound; without a floor only a bound on the figure itself can be kept."""
        if self.of == "figure":
            measured = figure
        elif floor is None:
            return False
        else:
            measured = figure - floor if self.of == "more" else figure / floor if floor else float("inf")
        return measured >= self.limit if self.is_least else measured <= self.limit

    def text(self, unit: str) -> str:
        """Return the bound in words."""
        sign = "at least" if self.is_least else "at most"
        shown = {
            "ratio": f"x {self.limit:g}",
            "figure": f"{self.limit:,g} {unit}",
            "more": f"{self.limit:g} {unit} more",
        }
        return f"{sign} {shown[self.of]}".rstrip()


@dataclass(frozen=True, slots=True)
class Row:
    """One figure in its unit; the floor, if there is one, has the same unit."""

    name: str
    figure: float
    unit: str
    floor: float | None = None
    bounds: tuple[Bound, ...] = ()
    """The row is kept if any of these is."""

    @property
    def ratio(self) -> float | None:
        """The figure over its floor."""
        return self.figure / self.floor if self.floor else None

    @property
    def is_kept(self) -> bool | None:
        """Whether a bound is kept; None: it has none."""
        return any(bound.is_kept(self.figure, self.floor) for bound in self.bounds) if self.bounds else None

    @property
    def verdict(self) -> str:
        """The bounds in words, and whether one is kept."""
        if not self.bounds:
            return ""
        bounds = " or ".join(bound.text(self.unit) for bound in self.bounds)
        return f"{bounds}: {'kept' if self.is_kept else 'MISSED'}"

    def cells(self) -> tuple[str, str, str, str, str]:
        """Return the cells of a table: name, figure, floor, ratio, verdict."""
        floor = "" if self.floor is None else f"{number(self.floor)} {self.unit}".rstrip()
        ratio = "" if self.ratio is None else f"x {number(self.ratio)}"
        return self.name, f"{number(self.figure)} {self.unit}".rstrip(), floor, ratio, self.verdict


@dataclass(frozen=True, slots=True)
class Heading:
    """The title of a table and a sentence about its floor."""

    title: str
    floor: str
    """What the floor or the yardstick is, in a sentence or two."""


@dataclass(frozen=True, slots=True)
class Given:
    """The arguments of a benchmark's command line."""

    short: bool = False
    rows: Path | None = None
    words: tuple[str, ...] = ()

    def size(self, short: int, full: int) -> int:
        """Return the size to measure: the number given as first word, else `short` or `full`."""
        if self.words and self.words[0].isdecimal():
            return int(self.words[0])
        return short if self.short else full


class LeftOut(Exception):
    """The benchmark cannot run, since this machine lacks what the message says."""


class Table:
    """Takes the rows of one benchmark, prints them, and writes them to a file."""

    def __init__(self, file: BinaryIO | None = None) -> None:
        """Write each row to `file`, too, as a line of JSON."""
        self._file = file

    def add(self, name: str, figure: float, unit: str, floor: float | None = None, *bounds: Bound) -> None:
        """Print and write a row."""
        row = Row(name, figure, unit, floor, bounds)
        cells = row.cells()
        print(f"{cells[0]:62} {cells[1]:>13} {cells[2]:>13} {cells[3]:>9}  {cells[4]}".rstrip(), flush=True)
        self.write(row)

    def write(self, part: Heading | Row | str) -> None:
        """Write a part to the file; a string is the reason why nothing was measured."""
        if self._file:
            self._file.write(msgspec.json.encode({type(part).__name__: part}) + b"\n")


def number(value: float) -> str:
    """Return a number with about three significant digits; a whole number as it is."""
    if value == round(value):
        return f"{value:,.0f}"
    size = abs(value)
    digits = 0 if size >= 100 else 1 if size >= 10 else 2 if size >= 1 else 3
    return f"{value:,.{digits}f}"


def parse_given(words: Sequence[str]) -> Given:
    """Parse a benchmark's command line."""
    rest = list(words)
    rows = None
    if "--rows" in rest:
        at = rest.index("--rows")
        rows = Path(rest[at + 1])
        del rest[at : at + 2]
    short = "--short" in rest
    return Given(short, rows, tuple(word for word in rest if word != "--short"))


@contextmanager
def handing_over(title: str, floor: str) -> Iterator[tuple[Given, Table]]:
    """Yield the benchmark's arguments and its table, and catch LeftOut, whose reason is written as the result."""
    given = parse_given(sys.argv[1:])
    with (given.rows or Path("/dev/null")).open("wb", buffering=0) as file:
        table = Table(file)
        print(f"{title}. {floor}")
        table.write(Heading(title, floor))
        try:
            yield given, table
        except LeftOut as reason:
            print(f"left out: {reason}")
            table.write(str(reason))


def needs(extra: str, *modules: str) -> None:
    """Raise LeftOut unless these modules of an extra are installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        raise LeftOut(f"the extra `{extra}` is not installed ({', '.join(missing)})")


def read_rows(lines: Sequence[bytes]) -> tuple[Heading | None, list[Row], str]:
    """Read a file of rows: the heading, the rows, and why it was left out; a cut-off last line is ignored."""
    heading, rows, reason = None, [], ""
    for line in lines:
        if not line.endswith(b"\n"):
            continue
        [(kind, part)] = msgspec.json.decode(line).items()
        if kind == "Heading":
            heading = msgspec.convert(part, Heading)
        elif kind == "Row":
            rows.append(msgspec.convert(part, Row))
        else:
            reason = part
    return heading, rows, reason

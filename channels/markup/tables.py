"""This module lays out tables for a phone: columns side by side if they fit, else each row as a few lines."""

from __future__ import annotations

from dataclasses import dataclass, field

from channels.markup.page import Page
from channels.markup.rich import RichText

__all__ = ["Table", "put_table"]

MOST_COLUMNS = 40
"""How many characters of a line of code a phone shows without breaking it."""
NOTHING = "–"
"""Stands for an empty cell beside its heading."""


@dataclass(frozen=True, slots=True)
class Table:
    """The cells of a table, row by row, the headings first; `sides` is each column's alignment, empty for none."""

    rows: list[list[RichText]] = field(default_factory=list)
    sides: list[str] = field(default_factory=list)


def put_table(table: Table, page: Page) -> None:
    """Write the table on the page."""
    widths = [max(map(_width, column)) for column in zip(*table.rows, strict=True)]
    if sum(widths) + 3 * (len(widths) - 1) <= MOST_COLUMNS and not _has_links(table):
        page.put_block(_side_by_side(table, widths), "pre")
    elif _is_repetitive(table):
        _put_lines(table, page)
    else:
        _put_rows(table, page)


def _is_repetitive(table: Table) -> bool:
    """Tell whether headings repeated in every row would take far more room than the cells; True without rows."""
    headings, *rows = (sum(len(cell.text) for cell in row) for row in table.rows)
    repeated = (headings + len(table.rows[0])) * len(rows)
    return repeated > 4 * (headings + sum(rows)) or not rows


def _width(cell: RichText) -> int:
    text = cell.text
    if text.isascii():
        return len(text)
    from wcwidth import wcswidth  # its lists of characters take more than a megabyte

    return max(wcswidth(text), 0)


def _has_links(table: Table) -> bool:
    return any(span.kind == "link" for row in table.rows for cell in row for span in cell.spans)


def _side_by_side(table: Table, widths: list[int]) -> str:
    lines = [" | ".join(map(_aligned, row, widths, table.sides)).rstrip() for row in table.rows]
    return "\n".join([lines[0], "-+-".join("-" * width for width in widths), *lines[1:]])


def _aligned(cell: RichText, width: int, side: str) -> str:
    space = width - _width(cell)
    before = {"right": space, "center": space // 2}.get(side, 0)
    return " " * before + cell.text + " " * (space - before)


def _put_lines(table: Table, page: Page) -> None:
    """Write each row as a line, the headings bold."""
    for number, row in enumerate(table.rows):
        if number == 0:
            page.open("bold")
        else:
            page.part(by_empty_line=False)
        filled = max((column for column, cell in enumerate(row, start=1) if cell.text), default=1)
        for column, cell in enumerate(row[:filled]):
            page.put(" | " if column else "")
            page.add(cell)
        if number == 0:
            page.close()


def _put_rows(table: Table, page: Page) -> None:
    headings, *rows = table.rows
    for number, row in enumerate(rows):
        if number:
            page.part(by_empty_line=True)
        for column, (heading, cell) in enumerate(zip(headings, row, strict=True)):
            if column:
                page.part(by_empty_line=False)
            _put_cell(heading, cell, page, is_first=column == 0)


def _put_cell(heading: RichText, cell: RichText, page: Page, *, is_first: bool) -> None:
    """Write a cell behind its heading; a row's first cell is bold, since it names what the row is about."""
    if not heading.text and not cell.text:
        return
    if is_first:
        page.open("bold")
    if heading.text:
        page.add(heading)
        page.put(": ")
    page.add(cell if cell.text else RichText(NOTHING))
    if is_first:
        page.close()

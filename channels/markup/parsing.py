"""This module parses Markdown with markdown-it: CommonMark with tables and strikethrough, without some of its rules.

The rules left out would make text vanish, or change while a reply streams: link reference definitions and HTML (they
would show nothing), character references (`&lt;` is what was written about as often as what was meant), and headings
underlined by dashes (a later line would change the one above). Nesting is bounded: what is nested deeper stays text.
"""

from __future__ import annotations

from functools import cache

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock, blockquote, list_block, table
from markdown_it.rules_block.table import escapedSplit, getLine
from markdown_it.token import Token

__all__ = ["parse_markdown"]

MOST_BLOCK_LEVELS = 12
"""How deeply quotes and lists may be nested; a list takes two levels."""
MOST_INLINE_LEVELS = 16
"""The parser's own limit; it is more than blocks can reach, since the parser drops a block that is deeper."""

LEAST_FILLED = 4
"""A table row has at least one cell for every four columns: else a short text could swell to a million empty cells."""

_WITHOUT = ("reference", "html_block", "html_inline", "entity", "lheading")
_COLUMNS = "columns"


def parse_markdown(text: str) -> list[Token]:
    """Return the blocks as the parser's flat list, with the tokens of a block's text as its children."""
    return _parser().parse(text)


class _Markdown(MarkdownIt):
    """The parser, which takes every address as it was written: the renderer decides which of them become links."""

    def validateLink(self, url: str) -> bool:
        return True

    def normalizeLink(self, url: str) -> str:
        return url

    def normalizeLinkText(self, link: str) -> str:
        return link


@cache
def _parser() -> MarkdownIt:
    parser = _Markdown("commonmark", {"maxNesting": MOST_INLINE_LEVELS})
    parser.enable(["table", "strikethrough"]).disable(_WITHOUT)
    parser.block.ruler.at("blockquote", _quote, {"alt": ["paragraph", "reference", "blockquote", "list"]})
    parser.block.ruler.at("list", _list, {"alt": ["paragraph", "reference", "blockquote"]})
    parser.block.ruler.at("table", _table, {"alt": ["paragraph", "reference"]})
    parser.block.ruler.before("table", "table_end", _table_end, {"alt": ["blockquote"]})
    return parser


def _quote(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    return state.level < MOST_BLOCK_LEVELS and blockquote(state, start, end, silent)


def _list(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    return state.level < MOST_BLOCK_LEVELS and list_block(state, start, end, silent)


def _table(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Read a table whose rows may have more cells than its head: the last one keeps the surplus."""
    before = len(state.tokens)
    state.env[_COLUMNS] = getLine(state, min(start + 1, end)).count("|") + 1
    if not table(state, start, end, silent):
        return False
    row: list[Token] = []
    for token in state.tokens[before:]:
        if token.type == "tr_open":
            row = []
        elif token.type == "inline":
            row.append(token)
        elif token.type == "tr_close" and row and row[0].map:
            cells = escapedSplit(getLine(state, row[0].map[0]).strip())
            cells = cells[1 if cells[:1] == [""] else 0 : -1 if len(cells) > 1 and cells[-1] == "" else None]
            row[-1].content = " | ".join([row[-1].content, *(cell.strip() for cell in cells[len(row) :])])
    return True


def _table_end(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """Tell whether a line has too few cells for a row of the table, which it then ends."""
    if state.parentType != "table":
        return False
    return LEAST_FILLED * (getLine(state, start).count("|") + 1) < int(state.env[_COLUMNS])

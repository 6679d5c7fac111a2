"""This module renders a reply's Markdown to rich text for any platform, without losing anything that was written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from channels.markup.addresses import is_web_address
from channels.markup.characters import harmless, is_blank
from channels.markup.page import Page
from channels.markup.rich import Kind, RichText, plain
from channels.markup.tables import Table, put_table

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["render_markdown"]

MOST_CHARACTERS = 100_000
"""A longer text is shown as it is written: parsing it would block the event loop for everybody else."""

BULLET = "•"
RULE = "———"
_BOXES = {"[ ] ": "☐", "[x] ": "☑", "[X] ": "☑"}

_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9_+#.-]{0,31}(?=\s|$)")
_EMPTY_LINES = re.compile(r"\A(?:[ \t]*\n)+")
_INLINE_KINDS: Mapping[str, Kind] = {"strong": "bold", "em": "italic", "s": "strike"}


def render_markdown(text: str) -> RichText:
    """Return the rich text that people see; if they would see nothing, the source as it was written.

    The lines of a paragraph stay lines, and an empty line between blocks stays one. While a text grows, what was
    rendered of it does not change, except for its last block.
    """
    source = harmless(text)
    if len(source) > MOST_CHARACTERS:
        return plain(source)
    rich = _Renderer(source).render()
    return plain(source) if is_blank(rich.text) else rich


@dataclass(slots=True)
class _List:
    """An open list; `last` is the number of its last item, unused for bullets."""

    is_ordered: bool
    first: str = ""
    last: int = 0


@dataclass(slots=True)
class _Link:
    """An open link; `is_marked`: it is shown as a link, and its address needs no writing out."""

    mark: int
    address: str
    title: str
    is_marked: bool


@dataclass(slots=True)
class _Renderer:
    """Renders one text onto a page; `begun` is the line on which the last block began."""

    source: str
    page: Page = field(default_factory=Page)
    lists: list[_List] = field(default_factory=list)
    links: list[_Link] = field(default_factory=list)
    quotes: int = 0
    lines: list[str] = field(default_factory=list)
    begun: int = 0

    def render(self) -> RichText:
        from channels.markup.parsing import parse_markdown  # with the first reply: the parser takes a megabyte

        self.lines = self.source.split("\n")
        tokens = parse_markdown(self.source)
        number = 0
        while number < len(tokens):
            token = tokens[number]
            if token.type == "table_open":
                number = self._table(tokens, number)
            elif token.type == "inline":
                self._inline(token.children or [])
            elif token.type in ("bullet_list_open", "ordered_list_open"):
                self._list_open(token, tokens[number - 1] if number else None)
            elif token.type == "list_item_open":
                self._item_open(token, _box_of(tokens[number + 1 : number + 3]))
            else:
                _BLOCKS[token.type](self, token)
            number += 1
        return self.page.rich()

    def _part(self, token: Token) -> None:
        """Begin a block, after an empty line if the source has one there, once for all that begin on the same line."""
        line = token.map[0] if token.map else 0
        self.page.part(by_empty_line=line != self.begun and not self.lines[line - 1].strip(" \t>"))
        self.begun = line

    def _nothing(self, token: Token) -> None:
        pass

    def _heading(self, token: Token) -> None:
        self._part(token)
        self.page.open("bold")
        if token.map and not self.lines[token.map[0]].strip(" \t>#"):
            self.page.put(token.markup)

    def _close(self, token: Token) -> None:
        self.page.close()

    def _rule(self, token: Token) -> None:
        self._part(token)
        self.page.put(RULE)

    def _code(self, token: Token) -> None:
        self._part(token)
        language = _LANGUAGE.match(token.info.strip())
        rest = token.info.strip()[language.end() if language else 0 :].strip()
        if rest:
            self.page.put(rest)
            self.page.end_line()
        code = _EMPTY_LINES.sub("", token.content.rstrip())
        if code:
            self.page.put_block(code, "pre", language[0] if language else "")

    def _quote_open(self, token: Token) -> None:
        self._part(token)
        self.quotes += 1
        if self.quotes == 1:
            self.page.open_block("quote")
        else:
            self.page.start_line()
            self.page.indent("> ")

    def _quote_close(self, token: Token) -> None:
        self.quotes -= 1
        if self.quotes == 0:
            self.page.close()
        else:
            self.page.dedent()

    def _list_open(self, token: Token, before: Token | None) -> None:
        """Begin a list; one behind a numbered list keeps its own indentation, since it was meant to belong there."""
        line = self.lines[token.map[0]] if token.map else ""
        is_meant = before is not None and before.type == "ordered_list_close" and token.level == 0
        self.page.indent(" " * (len(line) - len(line.lstrip(" "))) if is_meant else "")
        self.lists.append(_List(token.type == "ordered_list_open"))

    def _list_close(self, token: Token) -> None:
        self.page.dedent()
        self.lists.pop()

    def _item_open(self, token: Token, box: str) -> None:
        self._part(token)
        around = self.lists[-1]
        if not around.is_ordered:
            self.page.begin_item(box or BULLET)
            return
        # Items that all have the same number are counted on, as Markdown does.
        if not around.first:
            around.first, around.last = token.info, int(token.info)
        else:
            around.last = around.last + 1 if token.info == around.first else int(token.info)
        self.page.begin_item(f"{around.last}{token.markup} {box}".rstrip())

    def _item_close(self, token: Token) -> None:
        self.page.end_item()

    def _inline(self, tokens: list[Token]) -> None:
        for token in tokens:
            kind, _, side = token.type.rpartition("_")
            if kind in _INLINE_KINDS:
                if side == "open":
                    self.page.open(_INLINE_KINDS[kind])
                else:
                    self.page.close()
            else:
                _INLINES[token.type](self, token)

    def _text(self, token: Token) -> None:
        self.page.put(token.content)

    def _line_end(self, token: Token) -> None:
        self.page.end_line()

    def _inline_code(self, token: Token) -> None:
        self.page.open("code")
        self.page.put(token.content)
        self.page.close()

    def _link_open(self, token: Token) -> None:
        address = str(token.attrs.get("href", ""))
        self._open_link(address, str(token.attrs.get("title", "")))

    def _image(self, token: Token) -> None:
        self._open_link(str(token.attrs.get("src", "")), str(token.attrs.get("title", "")))
        self._inline(token.children or [])
        self._link_close(token)

    def _open_link(self, address: str, title: str) -> None:
        is_marked = is_web_address(address) and not any(link.is_marked for link in self.links)
        if is_marked:
            self.page.open("link", address)
        self.links.append(_Link(self.page.mark(), address, " ".join(title.split()), is_marked))

    def _link_close(self, token: Token) -> None:
        """End a link; its title, and an address that is not linked, are written behind the words in brackets."""
        link = self.links.pop()
        words = self.page.since(link.mark)
        if is_blank(words):
            words = link.address
            self.page.put(words)
        if link.is_marked:
            self.page.close()
        address = link.address.removeprefix("mailto:")
        more = ("" if link.is_marked else address, link.title)
        shown = [part for part in more if part and part != words.strip()]
        if shown:
            self.page.put(f" ({', '.join(shown)})")

    def _table(self, tokens: list[Token], number: int) -> int:
        """Write a table, and return the number of its last token."""
        self._part(tokens[number])
        table = Table()
        while tokens[number].type != "table_close":
            token = tokens[number]
            if token.type == "tr_open":
                table.rows.append([])
            elif token.type in ("th_open", "td_open"):
                if token.type == "th_open":
                    table.sides.append(str(token.attrs.get("style", "")).removeprefix("text-align:"))
            elif token.type == "inline":
                cell = _Renderer("")
                cell._inline(token.children or [])
                table.rows[-1].append(cell.page.rich())
            number += 1
        put_table(table, self.page)
        return number


def _box_of(tokens: list[Token]) -> str:
    """Return the check box of a task item, and take it out of the item's words; empty for any other item."""
    words = tokens[-1].children[0] if tokens[-1].type == "inline" and tokens[-1].children else None
    box = _BOXES.get(words.content[:4], "") if words is not None and words.type == "text" else ""
    if words is not None and box:
        words.content = words.content[4:]
    return box


_BLOCKS: Mapping[str, Callable[[_Renderer, Token], None]] = {
    "paragraph_open": _Renderer._part,
    "paragraph_close": _Renderer._nothing,
    "heading_open": _Renderer._heading,
    "heading_close": _Renderer._close,
    "hr": _Renderer._rule,
    "fence": _Renderer._code,
    "code_block": _Renderer._code,
    "blockquote_open": _Renderer._quote_open,
    "blockquote_close": _Renderer._quote_close,
    "bullet_list_close": _Renderer._list_close,
    "ordered_list_close": _Renderer._list_close,
    "list_item_close": _Renderer._item_close,
}

_INLINES: Mapping[str, Callable[[_Renderer, Token], None]] = {
    "text": _Renderer._text,
    "text_special": _Renderer._text,
    "softbreak": _Renderer._line_end,
    "hardbreak": _Renderer._line_end,
    "code_inline": _Renderer._inline_code,
    "link_open": _Renderer._link_open,
    "link_close": _Renderer._link_close,
    "image": _Renderer._image,
}

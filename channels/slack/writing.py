"""This module writes rich text as Markdown for Slack's markdown block, so that it shows exactly that text.

Plain text is shown as it is: only what Markdown would take for a mark is escaped. No mark crosses the end of a line,
and lines stay lines. Nothing becomes a mention: those begin with `<`, which is escaped, and broken up in code. Markdown
looks at both sides of a mark (https://spec.commonmark.org/0.31.2/#left-flanking-delimiter-run): if the neighbours would
keep it from being one, a character without width is put between.
"""

from __future__ import annotations

import re
import string
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby, pairwise

from channels.markup.addresses import is_web_address
from channels.markup.rich import Kind, RichText, Span

__all__ = ["escape_text", "to_markdown"]

JOINER = "\u2060"
"""A character that shows nothing, and is neither a space nor punctuation."""
NO_BREAK_SPACE = "\u00a0"
"""The character that indents a line: Markdown would drop spaces, or take four for code."""

_ORDER: tuple[Kind, ...] = ("link", "bold", "italic", "strike", "code")
"""The marks that a line may have, outer ones first. Spoilers are left out: Slack cannot hide words."""

_SPECIAL = re.compile(
    r"https?://[^\s<>`]+|[&<>`\\]|(?<!\s)\*|\*(?!\s)|(?<![^\W_])_|_(?![^\W_])|~+|!?\[|\](?=[(\[:])|\|"
)
_LINE_START = re.compile(r"(?:#{1,6}|[-+*])(?=\s|\Z)|\d{1,9}[.)](?=\s|\Z)|(?:[-=_*][ \t]*)+\Z|:?-+:?\s*\Z")
_TRAILING = re.compile(r"[.,;:!?'\")\]}*_~]+\Z")
_PING = re.compile(r"<(?=[@#!])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_PUNCTUATION = frozenset(string.punctuation)
_TICKS = re.compile("`+")
_URL_ESCAPES = {ord(character): f"%{ord(character):02X}" for character in "()<>\\|`"}


def escape_text(text: str) -> str:
    """Return a text escaped for mrkdwn (https://docs.slack.dev/messaging/formatting-message-text)."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def to_markdown(rich: RichText) -> str:
    """Return rich text as Markdown for a markdown block."""
    lines: list[str] = []
    was_quoted = False
    for block in _blocks(rich):
        made = _code_lines(block) if block.language is not None else list(_text_lines(block))
        if was_quoted and not block.is_quoted and made and made[0]:
            lines.append("")  # else the quote would go on
        lines += [f"> {line}" if line else ">" for line in made] if block.is_quoted else made
        was_quoted = block.is_quoted
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that are all inside or all outside a quote; `language` is None outside code."""

    rich: RichText
    is_quoted: bool
    language: str | None


def _blocks(rich: RichText) -> Iterator[_Block]:
    """Cut a text where code blocks and quotes begin and end, without the line ends at the cuts."""
    codes = [span for span in rich.spans if span.kind == "pre"]
    quotes = [span for span in rich.spans if span.kind == "quote"]
    ends = {0, len(rich.text), *(at for span in (*codes, *quotes) for at in (span.start, span.end))}
    edges = sorted(at for at in ends if 0 <= at <= len(rich.text))
    for start, end in pairwise(edges):
        code = _around(codes, start, end)
        part = rich.between(start, end)
        if code is None:
            first = 1 if start > 0 and part.text.startswith("\n") else 0
            last = len(part.text) - (1 if end < len(rich.text) and part.text[first:].endswith("\n") else 0)
            if last < first or (first and last == first and end < len(rich.text)):
                continue
            part = part.between(first, last)
        yield _Block(part, _around(quotes, start, end) is not None, None if code is None else code.detail)


def _around(spans: Sequence[Span], start: int, end: int) -> Span | None:
    return next((span for span in spans if span.start <= start and end <= span.end), None)


def _code_lines(block: _Block) -> list[str]:
    code = _PING.sub(f"<{JOINER}", block.rich.text)
    fence = "`" * max(3, 1 + _longest_ticks(code))
    return [f"{fence}{block.language}", *code.split("\n"), fence]


def _longest_ticks(code: str) -> int:
    return max((len(ticks) for ticks in _TICKS.findall(code)), default=0)


def _text_lines(block: _Block) -> Iterator[str]:
    """Yield the lines; all but the last of a paragraph end with two spaces, which make Markdown keep the line end."""
    texts = block.rich.text.split("\n")
    ends = [0, *accumulate(len(text) + 1 for text in texts)]
    for number, (start, _, spans) in enumerate(_over(block.rich.spans, list(pairwise(ends)))):
        text = texts[number]
        line = _line(RichText(block.rich.text, spans).between(start, start + len(text)))
        goes_on = number + 1 < len(texts) and texts[number + 1].strip()
        yield f"{line}  " if line and goes_on else line


def _line(rich: RichText) -> str:
    text = rich.text.rstrip()
    indent = len(text) - len(text.lstrip(" \t"))
    rest = rich.between(indent, len(text)) if text else RichText("")
    head, start = "", _LINE_START.match(rest.text)
    if start:
        mark = start[0].rstrip()
        size = len(mark) if mark[-1] in ".)" else 1
        if not any(span.start < size for span in rest.spans if span.kind in _ORDER):
            head = f"{mark[: size - 1]}\\{mark[size - 1]}"
            rest = rest.between(size, len(rest.text)) if size < len(rest.text) else RichText("")
    return NO_BREAK_SPACE * indent + head + _marked(_pieces(rest), _ORDER, head[-1:], "")


Piece = tuple[str, Mapping[Kind, str]]
"""Some words and the marks on them, each mark with its detail."""


def _pieces(rich: RichText) -> list[Piece]:
    """Cut a line where any mark begins or ends."""
    spans = [span for span in rich.spans if span.kind in _ORDER and not (span.kind == "link" and _hides(span))]
    ends = {0, len(rich.text), *(at for span in spans for at in (span.start, span.end))}
    return [
        (rich.text[start:end], {span.kind: span.detail for span in over})
        for start, end, over in _over(spans, list(pairwise(sorted(ends))))
    ]


def _over(spans: Sequence[Span], parts: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, tuple[Span, ...]]]:
    """Yield each part of a text, in order, with the spans that reach into it."""
    waiting = sorted(spans, key=lambda span: span.start, reverse=True)
    over: list[Span] = []
    for start, end in parts:
        while waiting and waiting[-1].start < end:
            over.append(waiting.pop())
        over = [span for span in over if span.end > start]
        yield start, end, tuple(over)


def _hides(span: Span) -> bool:
    return not is_web_address(span.detail)


def _marked(pieces: Sequence[Piece], order: Sequence[Kind], before: str, after: str) -> str:
    """Write pieces that stand between the characters `before` and `after`; `order` is the marks not written yet."""
    if not pieces:
        return ""
    if not order:
        return "".join(_escape(text, is_linked="link" in marks) for text, marks in pieces)
    kind, inner = order[0], order[1:]
    groups = [(detail, list(group)) for detail, group in groupby(pieces, key=lambda piece: piece[1].get(kind))]
    written = before
    for number, (detail, group) in enumerate(groups):
        follows = _first_of(groups[number + 1][1][0]) if number + 1 < len(groups) else after
        if detail is None:
            written += _marked(group, inner, written[-1:], follows)
        else:
            written += _mark(kind, detail, group, (inner, written[-1:], follows))
    return written[len(before) :]


def _first_of(piece: Piece) -> str:
    """Return the first character of a piece; a joiner before an emphasis, since one may be put there."""
    words, marks = piece
    return JOINER if marks.keys() & {"bold", "italic", "strike"} else words[:1]


def _mark(kind: Kind, detail: str, group: list[Piece], around: tuple[Sequence[Kind], str, str]) -> str:
    """Write one mark around its words, without the spaces at their ends."""
    inner, before, after = around
    text = "".join(words for words, _ in group)
    words = text.strip()
    if not words:
        return text
    left, right = text[: len(text) - len(text.lstrip())], text[len(text.rstrip()) :]
    before, after = left[-1:] or before, right[:1] or after
    group = _trimmed(group, len(left), len(text) - len(right))
    if kind == "code":
        return left + _code(words) + right
    if kind == "link":
        address = detail.translate(_URL_ESCAPES)
        return f"{left}[{_marked(group, inner, '[', ']')}]({address}){right}"
    return left + _emphasis(kind, group, (inner, before, after)) + right


def _trimmed(group: list[Piece], start: int, end: int) -> list[Piece]:
    kept, at = [], 0
    for words, marks in group:
        cut = words[max(start - at, 0) : max(end - at, 0)]
        at += len(words)
        if cut:
            kept.append((cut, marks))
    return kept


def _code(words: str) -> str:
    code = _PING.sub(f"<{JOINER}", words)
    ticks = "`" * (1 + _longest_ticks(code))
    pad = " " if code[0] == "`" or code[-1] == "`" else ""
    return f"{ticks}{pad}{code}{pad}{ticks}"


def _emphasis(kind: Kind, group: list[Piece], around: tuple[Sequence[Kind], str, str]) -> str:
    inner, before, after = around
    is_free = before != "_" and _is_apart(before) and _is_apart(after)
    sign = {"bold": "**", "strike": "~~"}.get(kind) or ("_" if is_free else "*")
    outside = JOINER if before == sign[0] else ""
    before = outside or before
    first = last = words = ""
    for _ in range(3):  # what is put between may change the marks inside
        words = _marked(group, inner, first or sign[0], last or sign[0])
        is_stuck = (
            _is_punctuation(words[0]) and not _is_apart(before),
            _is_punctuation(words[-1]) and not _is_apart(after),
        )
        first = first or (JOINER if is_stuck[0] or words[0] == sign[0] else "")
        last = last or (JOINER if is_stuck[1] or words[-1] == sign[0] else "")
    return f"{outside}{sign}{first}{words}{last}{sign}"


def _is_apart(neighbour: str) -> bool:
    """Tell whether a mark can stand beside this character whatever is inside: a space, punctuation or a line's end."""
    return (
        not neighbour or neighbour.isspace() or neighbour in _PUNCTUATION or unicodedata.category(neighbour)[0] == "P"
    )


def _is_punctuation(character: str) -> bool:
    """Tell whether any Markdown parser takes a character for punctuation: they do not agree about symbols."""
    return unicodedata.category(character)[0] in "PS"


def _escape(text: str, *, is_linked: bool = False) -> str:
    """Escape what Markdown would take for a mark; an address becomes a link, but not within another."""
    return (_ESCAPED if is_linked else _SPECIAL).sub(_escape_one, text)


def _escape_one(found: re.Match[str]) -> str:
    token = found[0]
    if token.startswith("http"):
        address = _TRAILING.sub("", token)
        rest = _escape(token[len(address) :])
        return f"<{address}>{rest}" if is_web_address(address) else _ESCAPED.sub(_escape_one, address) + rest
    return _ENTITIES.get(token) or "".join(f"\\{character}" for character in token)


_ESCAPED = re.compile(r"[&<>`\\*_~\[\]|]")

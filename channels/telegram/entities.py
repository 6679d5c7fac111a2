"""This module turns formatting marks into Telegram's message entities, in a form that Telegram does not refuse.

The rules (https://core.telegram.org/bots/api#formatting-options): entities are nested or apart; `pre` and `code`
contain no others and are inside none but a quote, and so do links; quotes are not nested. Telegram ignores all but a
hundred of a message, so that the most important are chosen here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import accumulate

from telegram import MessageEntity
from telegram.constants import MessageLimit

from channels.markup.addresses import is_web_address
from channels.markup.rich import Kind, RichText, Span

__all__ = ["MOST_ENTITIES", "build_entities"]

MOST_ENTITIES = int(MessageLimit.MESSAGE_ENTITIES)

_TYPES: dict[Kind, str] = {
    "pre": MessageEntity.PRE,
    "link": MessageEntity.TEXT_LINK,
    "code": MessageEntity.CODE,
    "quote": MessageEntity.BLOCKQUOTE,
    "spoiler": MessageEntity.SPOILER,
    "strike": MessageEntity.STRIKETHROUGH,
    "bold": MessageEntity.BOLD,
    "italic": MessageEntity.ITALIC,
}
"""Every kind of mark, the one that a person would miss most first."""

_RANKS = {kind: rank for rank, kind in enumerate(_TYPES)}
_SOLID = ("pre", "link", "code")
"""Kinds that must not overlap each other."""


def build_entities(rich: RichText) -> tuple[MessageEntity, ...]:
    """Return the entities of a text, sorted by place, outer ones first; offsets and lengths are in UTF-16 units."""
    usable = [span for span in (_trimmed(span, rich.text) for span in rich.spans) if _is_usable(span)]
    kept = _most_important(_merged(usable))
    nested = (_trimmed(span, rich.text) for span in _nested(kept))
    places = _places(rich.text)
    return tuple(
        MessageEntity(
            _TYPES[span.kind],
            places[span.start],
            places[span.end] - places[span.start],
            url=span.detail if span.kind == "link" else None,
            language=span.detail if span.kind == "pre" and span.detail else None,
        )
        for span in sorted(_most_important(filter(_is_usable, nested)), key=_order)
    )


def _places(text: str) -> list[int] | range:
    """Return the offset of each character in UTF-16 units, and that of the text's end."""
    if text.isascii():
        return range(len(text) + 1)
    return [0, *accumulate(2 if character > "\uffff" else 1 for character in text)]


def _trimmed(span: Span, text: str) -> Span:
    """Return the span without the spaces around its words; code keeps its indentation."""
    words = text[span.start : span.end]
    end = span.start + len(words.rstrip())
    start = span.start if span.kind == "pre" else min(span.start + len(words) - len(words.lstrip()), end)
    return replace(span, start=start, end=end)


def _is_usable(span: Span) -> bool:
    return span.start < span.end and (span.kind != "link" or is_web_address(span.detail))


def _order(span: Span) -> tuple[int, int, bool, int]:
    return span.start, -span.end, span.kind != "quote", -_RANKS[span.kind]


def _most_important(spans: Iterable[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: (_RANKS[span.kind], span.start))[:MOST_ENTITIES]


def _merged(spans: Iterable[Span]) -> Iterator[Span]:
    """Join overlapping spans of the same kind; of two links or two languages the first one stays."""
    last: dict[Kind, Span] = {}
    for span in sorted(spans, key=lambda span: (span.start, -span.end)):
        before = last.get(span.kind)
        if before is None or before.end <= span.start:
            if before is not None:
                yield before
            last[span.kind] = span
        else:
            last[span.kind] = replace(before, end=max(before.end, span.end))
    yield from last.values()


def _nested(spans: Iterable[Span]) -> list[Span]:
    """Cut spans where they would cross a more important one."""
    done: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.kind != "quote", _RANKS[span.kind], span.start)):
        pieces = [span]
        # Solid spans are applied first, since they may take a part out of the middle.
        for outer in sorted(done, key=lambda span: span.kind not in _SOLID):
            pieces = [part for piece in pieces for part in _beside(piece, outer)]
        done += pieces
    return done


def _beside(span: Span, other: Span) -> Iterator[Span]:
    """Yield what is left of a span beside another that stays whole: two or three parts if they cross."""
    start, end = max(span.start, other.start), min(span.end, other.end)
    if start >= end:
        yield span
        return
    if other.kind in ("pre", "code") or (other.kind == "link" and span.kind in _SOLID):
        parts = [(span.start, start), (end, span.end)]
    elif span.kind not in _SOLID and (start, end) in ((span.start, span.end), (other.start, other.end)):
        parts = [(span.start, span.end)]
    else:
        parts = [(span.start, start), (start, end), (end, span.end)]
    yield from (replace(span, start=first, end=last) for first, last in parts if first < last)

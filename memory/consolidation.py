"""This module consolidates an exchange with a language model: it returns what happened, and facts about the person.

A model's answer is only a proposal: each fact is checked against the person's own words here, and the store checks it
again. If no answer can be used, nothing is kept, and the range still counts as done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime

from memory.answers import HISTORY_CHARS, Answer, Proposed, parse_answer
from memory.fact_filter import doubt_worth, fits_slot
from memory.guard import Doubt, Said, best_quote, ground, read_said
from memory.model import Daily, Exchange, Fact, Lesson
from memory.own import is_worth_learning
from memory.ports import Complete
from memory.prompts import SLOTS, Ask, build_ask
from memory.quotes import find_quote
from memory.secrets import has_secret, without_secrets

__all__ = ["Ask", "Complete", "consolidate", "is_worth_learning", "weigh"]

TRIES = 2
"""How often the model is asked; an answer without a history entry is asked for once more."""

HISTORY_BESIDE_CHARS = 200
"""How much longer than the person's words a history entry may be: a longer one would tell what was recalled."""

ELLIPSIS = "…"


async def consolidate(exchange: Exchange, complete: Complete) -> Lesson:
    """Ask the model, and return what is learnt from an exchange. Raises what `complete` raises.

    Texts are checked on a thread: a long message, or an answer without sense, takes a tenth of a second.
    """
    said = await asyncio.to_thread(read_said, exchange)
    if not said.own:
        return Lesson(exchange, None)
    answer = await _asked(build_ask(exchange), complete)
    return Lesson(exchange, None) if answer is None else await asyncio.to_thread(_build_lesson, said, answer)


def _build_lesson(said: Said, answer: Answer) -> Lesson:
    weighed = [weigh(said, proposed) for proposed in answer.facts]
    facts = tuple(fact for fact in weighed if isinstance(fact, Fact))
    refused = tuple(doubt for doubt in weighed if isinstance(doubt, Doubt))
    daily = _daily(answer, sum(map(len, said.own.values())), _moment(said.exchange))
    return Lesson(said.exchange, daily, facts, refused=refused)


def weigh(said: Said, proposed: Proposed) -> Fact | Doubt:
    """Return a proposed fact with its evidence, or the reason why it is not kept."""
    doubt = doubt_worth(proposed.text)
    if doubt is not None:
        return doubt
    found = find_quote(said.exchange, said.own, proposed.quote) if proposed.quote else best_quote(said, proposed.text)
    if found is None:
        return Doubt.QUOTE
    if has_secret(found.quote):
        return Doubt.SECRET
    about = proposed.about if proposed.about in SLOTS and fits_slot(proposed.about, proposed.text) else ""
    return ground(said, Fact(proposed.text, (found,), about, proposed.importance), takes_messages=False)


async def _asked(ask: Ask, complete: Complete) -> Answer | None:
    """Ask the model, and return the first answer that has a history entry, else the last that could be read."""
    best: Answer | None = None
    for _ in range(TRIES):
        answer = await asyncio.to_thread(parse_answer, await complete(ask))
        best = answer or best
        if answer is not None and answer.history:
            break
    return best


def _moment(exchange: Exchange) -> datetime:
    return max(words.at for words in exchange.said)


def _daily(answer: Answer, own_chars: int, happened: datetime) -> Daily | None:
    text = without_secrets(answer.history[: 2 * HISTORY_CHARS])
    most = min(HISTORY_CHARS, own_chars + HISTORY_BESIDE_CHARS)
    return Daily(_cut(text, most), happened) if any(_letters(text)) else None


def _letters(text: str) -> Iterator[bool]:
    return (character.isalnum() for character in text)


def _cut(text: str, most: int) -> str:
    """Return a text cut to `most` characters, between words if a space is near, with an ellipsis."""
    if len(text) <= most:
        return text
    kept = text[: most - len(ELLIPSIS)]
    blank = kept.rfind(" ")
    return (kept[:blank] if blank > most // 2 else kept).rstrip() + ELLIPSIS

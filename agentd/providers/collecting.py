"""Listens to a whole answer, of which nothing is shown before its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from agentd.providers.base import Event, Finished, Restarted, TextDelta

__all__ = ["Answer", "Endless", "collect"]


class Endless(Exception):
    """The answer is longer than anything that was asked for."""


@dataclass(slots=True)
class Answer:
    """What was said so far."""

    text: str = ""
    done: Finished | None = None


async def collect(events: AsyncGenerator[Event, None], answer: Answer, most_characters: int) -> None:
    """Take an answer in, up to its end; what of it came stays where that is not reached.

    Raises Endless, and what providers raise.
    """
    async with aclosing(events):
        async for event in events:
            match event:
                case TextDelta():
                    if len(answer.text) + len(event.text) > most_characters:
                        raise Endless
                    answer.text += event.text
                case Restarted():
                    answer.text = ""
                case Finished():
                    answer.done = event

"""Collects a whole answer of a model, up to a length, for callers that show nothing before its end."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from agentd.providers.base import Event, Finished, Restarted, TextDelta

__all__ = ["Answer", "Endless", "collect"]


class Endless(Exception):
    """The answer is longer than allowed."""


@dataclass(slots=True)
class Answer:
    """What was received so far."""

    text: str = ""
    done: Finished | None = None


async def collect(events: AsyncGenerator[Event, None], answer: Answer, most_characters: int) -> None:
    """Collect an answer to its end; if that is not reached, `answer` holds what came.

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

"""This module is a simulated model: it answers with a tag of the question, in pieces, late, in part, or not at all."""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from random import Random

from agentd.context.prompt import SUMMARY_HEAD
from agentd.providers.base import CompletionRequest, Event, Finished, Restarted, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderRefused, ProviderRetryable
from tests.simulation.system import Process

__all__ = ["WORD", "Asked", "Model", "Moods", "tokens"]

TOKEN = re.compile(r"«(p\d+\.\d+)(?:v\d+)?»")
"""Stands in every message that a person writes: who, which, and the version after edits."""

WORD = re.compile(r"‹re ([^›#]*)#(\d+)›|w(\d+\.\d+)\b")
"""Stand in every reply: a tag with the tokens and the number of the request, then numbered words."""


@dataclass(frozen=True, slots=True)
class Moods:
    """The shares of requests that take these ways."""

    fails: float = 0.0
    breaks: float = 0.0
    restarts: float = 0.0
    hangs: float = 0.0
    is_empty: float = 0.0
    too_long: float = 0.0
    filtered: float = 0.0
    most_words: int = 6
    seconds: tuple[float, ...] = (0.02, 0.1, 0.4)


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: which messages the summary names, which stand turn by turn, and last of all the newest."""

    number: int
    summary: tuple[str, ...]
    earlier: tuple[tuple[str, ...], ...]
    newest: tuple[str, ...]


class Model:
    """The provider's port, for one process."""

    model = "sim"
    context_tokens: int | None = None

    def __init__(self, process: Process, dice: Random, numbers: itertools.count[int], moods: Moods) -> None:
        """Number the requests of all lives."""
        self.asked: Callable[[Asked, CompletionRequest], None] = lambda _asked, _request: None
        """Called with each request."""
        self._process = process
        self._dice = dice
        self._numbers = numbers
        self._moods = moods

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Answer, in one way or the other."""
        self._process.step("ask")
        users = [message.content for message in request.messages if message.role == "user"]
        summary = tokens(users.pop(0)) if users[0].startswith(SUMMARY_HEAD) else ()
        number, newest = next(self._numbers), tokens(users[-1])
        self._process.note(
            "ask", f"#{number}", "summary:", summary, "earlier:", *map(tokens, users[:-1]), "newest:", newest
        )
        self.asked(Asked(number, summary, tuple(map(tokens, users[:-1])), newest), request)
        await self._wait()
        if self._happens(self._moods.too_long):
            raise ContextTooLong("the prompt is too long")
        if self._happens(self._moods.fails):
            raise ProviderRefused("the model is not there")
        if not self._happens(self._moods.is_empty):
            async for event in self._speak(number, newest):
                yield event
        reason = "filtered" if self._happens(self._moods.filtered) else "stop"
        yield Finished("filtered" if reason == "filtered" else "stop", Usage(10, 10), self.model)

    async def _speak(self, number: int, newest: tuple[str, ...]) -> AsyncGenerator[Event, None]:
        pieces = [f"‹re {' '.join(newest)} #{number}›"]
        pieces += [f" w{number}.{word}" for word in range(self._dice.randint(0, self._moods.most_words))]
        breaks_at = self._dice.randrange(len(pieces)) if self._happens(self._moods.breaks) else -1
        hangs_at = self._dice.randrange(len(pieces)) if self._happens(self._moods.hangs) else -1
        if self._happens(self._moods.restarts):
            yield TextDelta(f"{pieces[0]} void")
            await self._wait()
            yield Restarted()
        for index, piece in enumerate(pieces):
            if index == hangs_at:
                self._process.note("fault", f"#{number} hangs")
                await asyncio.Event().wait()
            if index == breaks_at:
                self._process.note("fault", f"#{number} breaks")
                raise ProviderRetryable("the stream broke")
            yield TextDelta(piece)
            await self._wait()

    async def _wait(self) -> None:
        await asyncio.sleep(self._dice.choice(self._moods.seconds))
        self._process.alive()

    def _happens(self, share: float) -> bool:
        return self._dice.random() < share


def tokens(text: str) -> tuple[str, ...]:
    """Return which messages a text holds."""
    return tuple(found[1] for found in TOKEN.finditer(text))

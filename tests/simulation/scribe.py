"""This module is a simulated summariser whose summaries name every message that they stand for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from random import Random

from agentd.providers.base import CompletionRequest, Event, Finished, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderRetryable
from tests.simulation.model import Moods, tokens
from tests.simulation.system import Process

__all__ = ["Scribe"]


class Scribe:
    """The provider's port, for one process."""

    model = "scribe"
    context_tokens: int | None = None

    def __init__(self, process: Process, dice: Random, moods: Moods) -> None:
        """Be as moody as the model."""
        self._process = process
        self._dice = dice
        self._moods = moods

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Summarise, in one way or the other."""
        self._process.step("summarise")
        covered = tokens(request.messages[-1].content)
        self._process.note("summary", *covered)
        await asyncio.sleep(self._dice.choice(self._moods.seconds))
        self._process.alive()
        if self._happens(self._moods.hangs):
            await asyncio.Event().wait()
        if self._happens(self._moods.too_long):
            raise ContextTooLong("the prompt is too long")
        if self._happens(self._moods.fails):
            raise ProviderRetryable("the model is not there")
        if not self._happens(self._moods.is_empty):
            yield TextDelta("".join(f"«{token}»" for token in covered))
        yield Finished("filtered" if self._happens(self._moods.filtered) else "stop", Usage(10, 10), self.model)

    def _happens(self, share: float) -> bool:
        return self._dice.random() < share

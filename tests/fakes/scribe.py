"""This module is a fake summariser: it answers as the test says, and keeps its requests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from agentd.providers.base import CompletionRequest, Event, Finished, TextDelta, Usage

__all__ = ["Scribe"]


class Scribe:
    """Numbers its summaries, unless it is told what to answer."""

    def __init__(self) -> None:
        """Begin willing."""
        self.model = "scribe"
        self.context_tokens: int | None = None
        self.requests: list[CompletionRequest] = []
        self.asked = asyncio.Event()
        """Set at each request."""
        self.answer: str | Exception | None = None
        """What it says instead of a summary, or raises."""
        self.gate: asyncio.Event | None = None
        """What it waits for before it answers."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Answer."""
        self.requests.append(request)
        number = len(self.requests)
        self.asked.set()
        if self.gate is not None:
            await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        text = f"- summary {number}" if self.answer is None else self.answer
        if text:
            yield TextDelta(text)
        yield Finished("stop", Usage(), self.model)

"""This module is a fake provider: the test enqueues its replies, and reads the requests."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from agentd.admission.spending import Spending
from agentd.context.calibration import Calibration
from agentd.conversation.wiring import SummaryTimes
from agentd.providers.base import CompletionRequest, Event, Finished, Provider, TextDelta, Usage
from agentd.providers.errors import ProviderRetryable


class FakeProvider:
    """Answers each request with the next enqueued reply, or with "ok" where there is none."""

    def __init__(self, model: str = "fake", context_tokens: int | None = None) -> None:
        """Start with no reply enqueued."""
        self.model = model
        self.context_tokens = context_tokens
        self.requests: list[CompletionRequest] = []
        self.closed = 0
        """How many replies ended, whether they were complete, failed or closed early."""
        self.asked = asyncio.Event()
        """Set at each request."""
        self.background: Provider | None = None
        """Who makes the summaries, where that matters to a test ..."""
        self.summary_times = SummaryTimes()
        """... and how long that may keep anybody."""
        self.spending: Spending | None = None
        """Where what it costs is counted, if a test looks there."""
        self.calibration = Calibration({})
        """What is learnt of how it counts."""
        self._replies: deque[tuple[Event | Exception | asyncio.Event, ...]] = deque()

    def enqueue(self, *parts: Event | Exception | asyncio.Event) -> None:
        """Add one reply: events are yielded, an exception is raised, and an `asyncio.Event` is waited for.

        A reply that holds no end of its own ends with the reason `stop`.
        """
        self._replies.append(parts)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Play the next reply."""
        self.requests.append(request)
        self.asked.set()
        end = Finished("stop", Usage(), self.model)
        try:
            for part in (*(self._replies.popleft() if self._replies else (TextDelta("ok"),)), end):
                if isinstance(part, Exception):
                    raise part
                if isinstance(part, asyncio.Event):
                    await part.wait()
                    continue
                yield part
                if isinstance(part, Finished):
                    return
        finally:
            self.closed += 1


class EndsBadly(FakeProvider):
    """A provider whose connection breaks as it is given back."""

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Play the next reply, and fail at the end of listening."""
        try:
            async for event in super().stream(request):
                yield event
        finally:
            raise ProviderRetryable("busy")

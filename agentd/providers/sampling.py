"""Asks a model with the sampling that its own section of the settings names, where it names one."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agentd.providers.base import CompletionRequest, Event, Provider
from agentd.providers.settings import ModelSettings

__all__ = ["Sampled"]


class Sampled:
    """A provider that puts its own temperature in the place of the one asked for, and its own bound below it.

    Only what was set counts: a default is no choice. A larger bound than the one asked for is none, since room for
    the reply was kept for that one.
    """

    def __init__(self, inner: Provider, settings: ModelSettings) -> None:
        """Take name and size from the provider inside."""
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self.inner = inner
        given = settings.model_fields_set
        self._most_tokens = settings.max_output_tokens if "max_output_tokens" in given else None
        self._temperature = settings.temperature if "temperature" in given else None

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Ask so, and pass on the reply."""
        asked = request.max_output_tokens
        changed = replace(
            request,
            max_output_tokens=asked if self._most_tokens is None else min(asked, self._most_tokens),
            temperature=request.temperature if self._temperature is None else self._temperature,
        )
        async with aclosing(self.inner.stream(changed)) as events:
            async for event in events:
                yield event

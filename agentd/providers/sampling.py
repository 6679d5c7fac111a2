"""Applies the temperature and reply limit of a model's own settings section to its requests."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace

from agentd.providers.base import CompletionRequest, Event, Provider
from agentd.providers.settings import ModelSettings

__all__ = ["Sampled"]


class Sampled:
    """A provider that replaces the requested temperature by its own, and lowers the reply limit to its own.

    Only explicit settings count, not defaults. A limit above the requested one has no effect, since the prompt left
    room for the requested one only.
    """

    def __init__(self, inner: Provider, settings: ModelSettings) -> None:
        """Take name and context size from the provider inside."""
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self.inner = inner
        given = settings.model_fields_set
        self._most_tokens = settings.max_output_tokens if "max_output_tokens" in given else None
        self._temperature = settings.temperature if "temperature" in given else None

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Send the request with these values, and pass on the reply."""
        asked = request.max_output_tokens
        changed = replace(
            request,
            max_output_tokens=asked if self._most_tokens is None else min(asked, self._most_tokens),
            temperature=request.temperature if self._temperature is None else self._temperature,
        )
        async with aclosing(self.inner.stream(changed)) as events:
            async for event in events:
                yield event

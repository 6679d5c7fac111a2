"""Measures each request to a provider: duration, tokens, and errors by reason."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass

from agentd.providers.base import CompletionRequest, Event, Finished, Provider
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRetryable

__all__ = ["NO_GAUGES", "Gauges", "Observed"]


def _drop(*_figures: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Gauges:
    """Callbacks for the metrics."""

    observe_seconds: Callable[[str, float], None] = _drop
    """Called with the model, and the seconds from the request to the end of its reply."""
    count_tokens: Callable[[str, str, int], None] = _drop
    """Called with the model, the kind (input, output, cached) and the number; cached tokens are part of the input."""
    count_error: Callable[[str], None] = _drop
    """Called with the reason: retryable, too_long, refused."""


NO_GAUGES = Gauges()


class Observed:
    """A provider whose every request is measured, each retry by itself."""

    def __init__(self, inner: Provider, gauges: Gauges, monotonic: Callable[[], float]) -> None:
        """Take name and context size from the provider inside."""
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self._inner = inner
        self._gauges = gauges
        self._monotonic = monotonic

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Pass the request and the reply on; a reply that is not read to its end is not measured."""
        began = self._monotonic()
        try:
            async with aclosing(self._inner.stream(request)) as events:
                async for event in events:
                    if isinstance(event, Finished):
                        self._note(event, self._monotonic() - began)
                    yield event
        except ProviderError as fault:
            self._gauges.count_error(_reason(fault))
            raise

    def _note(self, end: Finished, seconds: float) -> None:
        usage = end.usage
        self._gauges.observe_seconds(self.model, seconds)
        for kind, count in (
            ("input", usage.input_tokens),
            ("output", usage.output_tokens),
            ("cached", usage.cached_input_tokens),
        ):
            self._gauges.count_tokens(self.model, kind, count)


def _reason(fault: ProviderError) -> str:
    if isinstance(fault, ContextTooLong):
        return "too_long"
    return "retryable" if isinstance(fault, ProviderRetryable) else "refused"

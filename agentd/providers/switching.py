"""A provider whose model can be replaced while the daemon runs; running requests end with the old one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from agentd.providers.base import CompletionRequest, Event, Finished, Provider
from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable

__all__ = ["Switching"]


class Switching:
    """Passes requests on to the model that was set last."""

    def __init__(self, inner: Provider) -> None:
        """Begin with this model."""
        self.inner = inner
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self.fault: ProviderError | None = None
        """Why the last request had no reply; None if it had one, or there was none yet."""
        self._change: Callable[[CompletionRequest], CompletionRequest] = lambda request: request
        self._users: dict[int, int] = {}
        self._unused: dict[int, Callable[[], None]] = {}

    def switch(self, inner: Provider, unused: Callable[[], None]) -> None:
        """Use another model from the next request on; `unused` is called once no request uses the one before."""
        before, self.inner = id(self.inner), inner
        self.model, self.context_tokens, self.fault = inner.model, inner.context_tokens, None
        if self._users.get(before):
            self._unused[before] = unused
        else:
            unused()

    def sample(self, temperature: float, most_output_tokens: int) -> None:
        """Use this sampling from the next request on; the reply limit is only lowered, as prompts left room for no
        more.
        """
        self._change = lambda request: replace(
            request, temperature=temperature, max_output_tokens=min(request.max_output_tokens, most_output_tokens)
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Send the request, and pass on the reply."""
        inner = self.inner
        self._users[id(inner)] = self._users.get(id(inner), 0) + 1
        try:
            async with aclosing(inner.stream(self._change(request))) as events:
                async for event in events:
                    if isinstance(event, Finished) and inner is self.inner:
                        self.fault = None
                    yield event
        except (ProviderRetryable, ProviderRefused) as fault:
            if inner is self.inner:
                self.fault = fault
            raise
        finally:
            self._leave(id(inner))

    def _leave(self, number: int) -> None:
        self._users[number] -= 1
        if not self._users[number]:
            del self._users[number]
            self._unused.pop(number, lambda: None)()

"""A provider whose model can be changed while the daemon runs: requests that were begun end where they were begun."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from agentd.providers.base import CompletionRequest, Event, Finished, Provider
from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable

__all__ = ["Switching"]


class Switching:
    """Asks what was put there last."""

    def __init__(self, inner: Provider) -> None:
        """Begin with this one."""
        self.inner = inner
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self.fault: ProviderError | None = None
        """Why there was no reply to the last request; None where there was one, or none was asked for yet."""
        self._change: Callable[[CompletionRequest], CompletionRequest] = lambda request: request
        self._users: dict[int, int] = {}
        self._unused: dict[int, Callable[[], None]] = {}

    def switch(self, inner: Provider, unused: Callable[[], None]) -> None:
        """Ask another from the next request on; `unused` is called once nobody asks the one before any more."""
        before, self.inner = id(self.inner), inner
        self.model, self.context_tokens, self.fault = inner.model, inner.context_tokens, None
        if self._users.get(before):
            self._unused[before] = unused
        else:
            unused()

    def sample(self, temperature: float, most_output_tokens: int) -> None:
        """Ask so from the next request on; room for a longer reply than was asked for was never kept."""
        self._change = lambda request: replace(
            request, temperature=temperature, max_output_tokens=min(request.max_output_tokens, most_output_tokens)
        )

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Ask, and pass on the reply."""
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

"""Retries a request to a provider, with backoff, if it may succeed soon.

The wait is what the server asked for (Retry-After), else exponential with jitter. If a server asks for a long wait, the
person is told how long instead. Nothing else repeats the same request: what is asked after a failure differs (without a
refused parameter, `remote.py`; with a shorter prompt, the turn) or goes to another model (`fallback.py`).
"""

from __future__ import annotations

import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import structlog

from agentd.providers.base import CompletionRequest, Event, Provider, Restarted, TextDelta
from agentd.providers.errors import ProviderRetryable

if TYPE_CHECKING:
    import stamina

__all__ = ["BRIEF", "PATIENT", "RetryLimits", "Retrying", "describe_wait", "wait_before_next"]

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 0.5
LONGEST_WAIT_SECONDS = 8.0
JITTER_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class RetryLimits:
    """How long somebody who waits for a reply is kept waiting, in seconds."""

    asked_seconds: float
    """If a server asks for a longer wait, that is reported instead."""
    all_seconds: float
    """After this time there are no more retries."""


PATIENT = RetryLimits(asked_seconds=60.0, all_seconds=math.inf)
"""For the last provider in the row; the turn has a limit of its own."""

BRIEF = RetryLimits(asked_seconds=5.0, all_seconds=15.0)
"""If there is a fallback: a server that is silent until its timeout is not asked a second time."""

_log = structlog.get_logger()


class Retrying:
    """A provider that retries requests to the one inside it."""

    def __init__(
        self,
        inner: Provider,
        attempts: int = ATTEMPTS,
        limits: RetryLimits = PATIENT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take name and context size from the provider inside."""
        self.model = inner.model
        self.context_tokens = inner.context_tokens
        self._inner = inner
        self._attempts = attempts
        self._limits = limits
        self._monotonic = monotonic

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Send the request, and retry it; yield `Restarted` first in an attempt after one that had yielded text."""
        import stamina  # here: with what it needs it takes 0.6 MB, which a daemon that nobody asks does without

        said = False
        began = self._monotonic()
        async for attempt in stamina.retry_context(
            on=self._wait_before_next,
            attempts=self._attempts,
            timeout=None,
            wait_initial=FIRST_WAIT_SECONDS,
            wait_max=LONGEST_WAIT_SECONDS,
            wait_jitter=JITTER_SECONDS,
        ):
            void, is_left = said, False
            try:
                async with aclosing(self._inner.stream(request)) as events:
                    async for event in events:
                        if void:
                            yield Restarted()
                            said = void = False
                        said = said or isinstance(event, TextDelta)
                        is_left = True  # if the listener goes here, nobody waits for another attempt
                        yield event
                        is_left = False
            except ProviderRetryable as exc:
                if is_left:
                    raise
                fault = self._with_long_wait(exc)
            else:
                return
            if self._monotonic() - began >= self._limits.all_seconds:
                raise fault
            self._log(fault, attempt)
            # Only here, since an attempt holds back whatever is raised inside it until the loop goes on: neither a
            # cancellation nor the closing of this generator may take that way.
            with attempt:
                raise fault

    def _wait_before_next(self, exc: Exception) -> bool | float:
        return wait_before_next(exc, self._limits.asked_seconds)

    def _with_long_wait(self, fault: ProviderRetryable) -> ProviderRetryable:
        asked = fault.retry_after_seconds
        if asked is None or asked <= self._limits.asked_seconds:
            return fault
        return ProviderRetryable(f"{fault} (it wants {describe_wait(asked)} to pass first)", asked)

    def _log(self, fault: ProviderRetryable, attempt: stamina.Attempt) -> None:
        if attempt.num < self._attempts and self._wait_before_next(fault) is not False:
            asked = fault.retry_after_seconds
            _log.warning(
                "provider_retry_scheduled",
                reason=str(fault),
                wait_seconds=attempt.next_wait if asked is None else asked,  # the former without its jitter
                attempt=attempt.num,
            )


def wait_before_next(exc: Exception, asked_seconds: float) -> bool | float:
    """Decide whether to retry: after so many seconds, after the usual wait (True), or not at all (False)."""
    if not isinstance(exc, ProviderRetryable):
        return False
    if exc.retry_after_seconds is None:
        return True
    return exc.retry_after_seconds if exc.retry_after_seconds <= asked_seconds else False


def describe_wait(seconds: float) -> str:
    """Return a long wait in the largest unit that is exact enough, rounded up."""
    for unit, unit_seconds in (("hours", 3600), ("minutes", 60)):
        if seconds > 2 * unit_seconds:
            return f"{math.ceil(seconds / unit_seconds)} {unit}"
    return f"{math.ceil(seconds)} seconds"

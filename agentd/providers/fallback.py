"""Asks the fallback models in turn when one has given up, each behind a circuit breaker.

They are asked in the order of the settings; retries happen within each. A breaker saves people the wait for a provider
that does not answer while another can: if all are open, the one whose pause ends first is asked nevertheless. A prompt
that is too long is raised at once, since the caller shortens it for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from agentd.providers.base import CompletionRequest, Event, Finished, Provider, Restarted, TextDelta
from agentd.providers.breaker import Breaker
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable

__all__ = ["FallingBack", "Member", "MemberState"]

_log = structlog.get_logger()


@dataclass(slots=True)
class Member:
    """One provider of the row: its section in the settings, and why it gave up when last asked."""

    section: str
    provider: Provider
    breaker: Breaker
    fault: ProviderRetryable | ProviderRefused | None = None


@dataclass(frozen=True, slots=True)
class MemberState:
    """The state of one provider, for `agentd status`: its last fault ("" if none), and how long it is not asked."""

    section: str
    model: str
    fault: str
    pause_seconds: float


class FallingBack:
    """A row of providers that answers as long as one of them does."""

    def __init__(self, members: Sequence[Member]) -> None:
        """Take the name of the first, and the smallest context, so that a prompt fits whichever is asked."""
        self.members = tuple(members)
        self.model = self.members[0].provider.model
        sizes = [member.provider.context_tokens for member in self.members]
        self.context_tokens = min((size for size in sizes if size is not None), default=None)

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Ask one after the other; yield `Restarted` first if the one before had yielded text."""
        before: _Attempt | None = None
        for member, ticket in self._row():
            if before is not None:
                _log.warning("provider_fell_back", to=member.section, reason=str(before.fault), **_names(before.member))
            attempt = _Attempt(member, ticket, said=before is not None and before.said)
            async with aclosing(attempt.stream(request)) as events:
                async for event in events:
                    yield event
            if attempt.fault is None:
                return
            before = attempt
        raise self._sum_up(before)

    def look(self) -> list[MemberState]:
        """Return the state of each, in order."""
        return [
            MemberState(
                member.section,
                member.provider.model,
                str(member.fault or ""),
                round(member.breaker.left_seconds, 1),
            )
            for member in self.members
        ]

    def _row(self) -> Iterator[tuple[Member, int]]:
        """Yield whom to ask, each with a ticket; at least one."""
        is_empty = True
        for member in self.members:
            ticket = member.breaker.admit()
            if ticket is not None:
                is_empty = False
                yield member, ticket
        if is_empty:
            soonest = min(self.members, key=lambda member: member.breaker.again_at)
            yield soonest, soonest.breaker.insist()

    def _sum_up(self, last: _Attempt | None) -> ProviderError:
        """Return one error for all: the main provider's reason counts, unless it has worked since."""
        main, others = self.members[0].fault or (last and last.fault), len(self.members) - 1
        reason = str(main).rstrip(".")
        text = f"{reason}; {'the fallback' if others == 1 else f'the {others} fallbacks'} cannot answer either"
        if isinstance(main, ProviderRetryable):
            return ProviderRetryable(text, main.retry_after_seconds)
        return ProviderRefused(text)


class _Attempt:
    """One member asked once; after its stream, `fault` is why it gave up, and `said` whether its text still stands."""

    def __init__(self, member: Member, ticket: int, *, said: bool) -> None:
        self.member = member
        self.fault: ProviderRetryable | ProviderRefused | None = None
        self.said = said
        self._ticket = ticket

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Yield the member's reply, and settle its ticket."""
        breaker = self.member.breaker
        void, settle = self.said, breaker.abandon
        try:
            async with aclosing(self.member.provider.stream(request)) as events:
                async for event in events:
                    if void:
                        yield Restarted()
                        void = False
                    self.said = isinstance(event, TextDelta) or (self.said and not isinstance(event, Restarted))
                    if isinstance(event, Finished):
                        settle, self.member.fault = breaker.succeed, None
                    yield event
        except ContextTooLong:
            settle = breaker.succeed  # the provider is well, the prompt is not
            raise
        except (ProviderRetryable, ProviderRefused) as fault:
            if settle == breaker.succeed:
                raise  # the listener has the whole reply
            settle = breaker.fail
            self.fault = self.member.fault = fault
        finally:
            if settle(self._ticket):
                self._log_change()

    def _log_change(self) -> None:
        breaker = self.member.breaker
        if breaker.pause_seconds:
            _log.warning("provider_breaker_opened", pause_seconds=breaker.pause_seconds, **_names(self.member))
        else:
            _log.info("provider_breaker_closed", **_names(self.member))


def _names(member: Member) -> dict[str, str]:
    return {"provider": member.section, "model": member.provider.model}

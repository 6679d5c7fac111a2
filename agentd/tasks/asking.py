"""Asks the model for background tasks: turns go first, the time is limited, and a person's token budget is charged."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentd.providers.base import CompletionRequest, PromptMessage, Provider, Schema
from agentd.providers.collecting import Answer, Endless, collect
from agentd.providers.precedence import Precedence
from agentd.tasks.queue import TaskFault, TaskPostponed
from memory.ports import Complete

if TYPE_CHECKING:
    from memory.consolidation import Ask

__all__ = ["FREE", "Allowance", "Asker"]

CALL_SECONDS = 120.0
"""Time limit for one answer; the next attempt has its own."""

CHARACTERS_BY_ESTIMATE = 4
"""Characters per token if the provider does not count: about what English takes."""

CHARACTERS_PER_TOKEN = 8
"""An answer is read up to so many characters per allowed token."""


BUDGET_SECONDS = 3600.0
"""A call without a budget is tried again after this time at most, since the budget may be raised before midnight."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """A person's token budget, as two functions."""

    wait_seconds: Callable[[str, int], float]
    """Takes a person and the tokens that a call may cost; returns the seconds to wait, as `Spending.wait_seconds`."""
    spend: Callable[[str, int], None]
    """Takes a person and the tokens that a call has cost."""


FREE = Allowance(lambda person, tokens: 0.0, lambda person, tokens: None)
"""An allowance without limit, for a process that does not count."""


@dataclass(frozen=True, slots=True)
class Asker:
    """What is needed to ask the model."""

    provider: Provider
    slots: asyncio.Semaphore
    precedence: Precedence
    allowance: Allowance = FREE

    def on_behalf_of(self, person: str) -> Complete:
        """Return a function that asks on this person's account.

        It raises what providers raise, TimeoutError, and if the budget does not allow the call TaskPostponed or
        TaskFault.
        """

        async def complete(ask: Ask) -> str:
            self._check_budget(ask, person)
            return await self.precedence.behind(lambda: self._ask(ask, person))

        return complete

    def _check_budget(self, ask: Ask, person: str) -> None:
        needed = _estimate(ask.system, ask.user) + ask.max_output_tokens
        seconds = self.allowance.wait_seconds(person, needed)
        if math.isinf(seconds):
            raise TaskFault(f"it may take {needed} tokens, and a whole day allows less: raise [limits]")
        if seconds > 0:
            raise TaskPostponed(min(seconds, BUDGET_SECONDS))

    async def _ask(self, ask: Ask, person: str) -> str:
        messages = (PromptMessage("system", ask.system), PromptMessage("user", ask.user))
        schema = Schema.of(ask.schema_name, ask.schema)
        request = CompletionRequest(messages, ask.max_output_tokens, ask.temperature, schema)
        answer = Answer()
        try:
            async with self.slots, asyncio.timeout(CALL_SECONDS):
                most = ask.max_output_tokens * CHARACTERS_PER_TOKEN
                await collect(self.provider.stream(request), answer, most)
        except Endless:
            return answer.text
        finally:
            if answer.done:
                usage = answer.done.usage
                estimate = _estimate(ask.system, ask.user, answer.text)
                self.allowance.spend(person, usage.input_tokens + usage.output_tokens or estimate)
        return answer.text


def _estimate(*texts: str) -> int:
    return sum(map(len, texts)) // CHARACTERS_BY_ESTIMATE

"""Asks the model in the background for a person: behind the turns, for a limited time, and on their account."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentd.providers.base import CompletionRequest, PromptMessage, Provider, Schema
from agentd.providers.collecting import Answer, Endless, collect
from agentd.providers.precedence import Precedence
from memory.ports import Complete

if TYPE_CHECKING:
    from memory.consolidation import Ask

__all__ = ["Asker"]

CALL_SECONDS = 120.0
"""How long one answer may take; the next attempt has its own time."""

CHARACTERS_BY_ESTIMATE = 4
"""For a token where the provider does not count (the seed's estimate)."""

CHARACTERS_PER_TOKEN = 8
"""No answer is listened to beyond so many for each token that it may have."""


@dataclass(frozen=True, slots=True)
class Asker:
    """What is needed to ask."""

    provider: Provider
    slots: asyncio.Semaphore
    precedence: Precedence
    spend: Callable[[str, int], None] = lambda person, tokens: None
    """Takes who an answer was for, and what it cost in tokens."""

    def on_behalf_of(self, person: str) -> Complete:
        """Return what asks for this person. It raises what providers raise, and TimeoutError."""

        async def complete(ask: Ask) -> str:
            return await self.precedence.behind(lambda: self._ask(ask, person))

        return complete

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
                estimate = (len(ask.system) + len(ask.user) + len(answer.text)) // CHARACTERS_BY_ESTIMATE
                self.spend(person, usage.input_tokens + usage.output_tokens or estimate)
        return answer.text

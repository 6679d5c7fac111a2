"""This module builds prompts for the tests of what a model gets to see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentd.context import prompt
from agentd.context.prompt import Budget, Past, Prompt
from agentd.transcript.records import UserMessage
from agentd.transcript.view import Turn


def build_prompt(
    system: str, turns: Sequence[Turn], newest: Sequence[UserMessage], budget_tokens: int, **more: Any
) -> Prompt:
    """Put together a prompt within so many tokens, of which one text may cost half unless `piece_tokens` says so."""
    budget = Budget(budget_tokens, more.pop("piece_tokens", budget_tokens // 2))
    return prompt.build_prompt(system, Past(turns, **more), newest, budget)

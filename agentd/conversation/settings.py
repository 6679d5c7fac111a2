"""Settings of the section `[agent]`: system prompt, context limits, time limits, and what to do with messages while
busy.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["AgentSettings"]


class AgentSettings(BaseModel):
    """The section `[agent]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    system_prompt: str = "You are a helpful assistant."
    max_context_tokens: int = Field(default=32000, gt=0)
    max_history_messages: int = Field(default=50, gt=0)
    keep_recent_messages: int = Field(default=20, gt=0)
    turn_timeout_seconds: float = Field(default=300, gt=0)
    max_concurrent_turns: int = Field(default=16, gt=0)
    mailbox_size: int = Field(default=20, gt=0)
    when_busy: Literal["collect", "followup", "interrupt"] = "collect"
    collect_window_ms: int = Field(default=300, ge=0)
    idle_minutes: float = Field(default=30, gt=0)

    @property
    def question_size(self) -> int:
        """Return how many waiting messages one turn answers at most."""
        return 1 if self.when_busy == "followup" else self.mailbox_size

"""Settings of the section `[tasks]`: how many background tasks run at once, and how often each is tried."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["TasksSettings"]


class TasksSettings(BaseModel):
    """The section `[tasks]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    concurrency: int = Field(default=4, gt=0)
    max_attempts: int = Field(default=5, gt=0)

"""Settings of the sections `[gate]` (pairing, message rate) and `[limits]` (tokens per day)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["GateSettings", "LimitsSettings"]


class GateSettings(BaseModel):
    """The section `[gate]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairing: bool = True
    messages_per_minute: int = Field(default=20, gt=0)


class LimitsSettings(BaseModel):
    """The section `[limits]`; 0 means no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_per_person_per_day: int = Field(default=0, ge=0)
    tokens_per_day: int = Field(default=0, ge=0)

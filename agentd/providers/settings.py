"""Settings of the section `[provider]`: the main model, its fallbacks, and the background model."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

__all__ = ["ModelSettings", "ProviderSettings"]


class ModelSettings(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["local", "openai", "anthropic"] = "local"
    base_url: str = ""
    model: str = ""
    api_key: SecretStr = SecretStr("")
    max_output_tokens: int = Field(default=1024, gt=0)
    temperature: float = Field(default=0.7, ge=0, le=2)
    timeout_seconds: float = Field(default=120, gt=0)


class ProviderSettings(ModelSettings):
    """The main model, its fallbacks, and the model for background work."""

    fallbacks: tuple[ModelSettings, ...] = ()
    background: ModelSettings | None = None

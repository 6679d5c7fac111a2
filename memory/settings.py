"""This module defines the settings in `[memory]` and `[storage]`: what is remembered and recalled, and where."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

__all__ = ["MemorySettings", "StorageSettings"]


class MemorySettings(BaseModel):
    """The section `[memory]`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True
    min_message_chars: int = Field(default=20, ge=0)
    recall_entries: int = Field(default=4, ge=0)
    recall_entry_chars: int = Field(default=800, gt=0)
    recall_total_chars: int = Field(default=4000, gt=0)
    embeddings: Literal["none", "minilm", "openai"] = "none"
    embeddings_model: str = ""


class StorageSettings(BaseModel):
    """The section `[storage]`; an empty `url` means SQLite files in the workspace.

    The URL is a secret, because it usually carries a password.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: SecretStr = SecretStr("")

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr) -> SecretStr:
        text = url.get_secret_value()
        if text and not text.startswith(("postgresql://", "postgres://")):
            raise ValueError("must start with postgresql://, or be empty for SQLite files in the workspace")
        return url

"""Settings of the section `[service]`: the time of a shutdown, and the address of the metrics port."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

__all__ = ["ServiceSettings"]

MAX_PORT = 65535


class ServiceSettings(BaseModel):
    """The section `[service]`; an empty `metrics_listen` opens no port."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    drain_seconds: float = Field(default=30, gt=0)
    metrics_listen: str = ""

    @field_validator("metrics_listen")
    @classmethod
    def _is_host_and_port(cls, text: str) -> str:
        host, _, port = text.rpartition(":")
        if text and not (host and port.isascii() and port.isdigit() and int(port) <= MAX_PORT):
            raise ValueError("must be HOST:PORT, for example 127.0.0.1:9464")
        return text

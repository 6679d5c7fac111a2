"""The model of all settings: every section under its name in `config.toml`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, field_validator

from agentd.admission.settings import GateSettings, LimitsSettings
from agentd.conversation.settings import AgentSettings
from agentd.log import LogSettings
from agentd.providers.settings import ProviderSettings
from agentd.service.settings import ServiceSettings
from agentd.tasks.settings import TasksSettings
from channels.settings import ChannelsSettings
from memory.settings import MemorySettings, StorageSettings

__all__ = ["Settings"]


class Settings(BaseModel):
    """Every section; only the composition root and the command line see it, all others get their own section."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    workspace: Path = Field(default=Path("~/.local/share/agentd"), validate_default=True)
    agent: AgentSettings = AgentSettings()
    provider: ProviderSettings = ProviderSettings()  # mypy takes its defaults for required
    channels_config: ChannelsSettings = ChannelsSettings()
    gate: GateSettings = GateSettings()
    limits: LimitsSettings = LimitsSettings()
    memory: MemorySettings = MemorySettings()
    storage: StorageSettings = StorageSettings()
    tasks: TasksSettings = TasksSettings()
    service: ServiceSettings = ServiceSettings()
    log: LogSettings = LogSettings()

    @field_validator("workspace", mode="before")
    @classmethod
    def _is_named(cls, path: object) -> object:
        if path == "":
            raise ValueError("must not be empty")
        if "\0" in str(path):
            raise ValueError("is no path: it holds a NUL character")
        return path

    @field_validator("workspace")
    @classmethod
    def _expand_home(cls, path: Path) -> Path:
        try:
            return path.expanduser()
        except RuntimeError:
            raise ValueError("no home directory for ~: write an absolute path") from None

    @property
    def given(self) -> frozenset[str]:
        """The dotted keys that the operator set in any source, to tell a choice from a default."""
        return frozenset(_given(self, ""))


def _given(section: BaseModel, prefix: str) -> Iterator[str]:
    for name in section.model_fields_set:
        value: object = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _given(value, f"{prefix}{name}.")
        else:
            yield prefix + name

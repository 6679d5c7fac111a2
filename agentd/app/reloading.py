"""Reloads the configuration on SIGHUP: applies what can change at run time, and logs what needs a restart.

A configuration that cannot be used changes nothing. What can fail is done first; the rest follows in one step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from pydantic import BaseModel

from agentd.admission.allowing import AllowList, parse_allowed
from agentd.admission.gate import Gate
from agentd.admission.spending import Spending
from agentd.app.models import ChangingModels
from agentd.errors import ConfigError
from agentd.providers.settings import ProviderSettings
from agentd.settings import Settings
from agentd.settings.shape import leaves
from channels.settings import ChannelsSettings

__all__ = ["CONSOLE", "Changeable", "Reloader", "read_allow_lists"]

CONSOLE = frozenset({"console"})
"""The console has no rate limit and no allow list: its user owns the daemon's own streams."""

PLATFORMS = ("telegram", "discord", "slack")

SECTIONS = ("gate", "limits", "log", "provider")
"""Sections that are applied as a whole."""

RESTART = "restart the daemon to take it in"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Changeable:
    """The parts that a reload changes."""

    gate: Gate
    spending: Spending
    models: ChangingModels
    log: Callable[[Settings], None]
    """Applies the settings of the log."""


class Reloader:
    """Applies configuration changes, and remembers the configuration in force."""

    def __init__(self, settings: Settings, load: Callable[[], Settings], parts: Changeable) -> None:
        """Begin with the configuration of the start; `load` reads it again."""
        self._settings = settings
        self._load = load
        self._parts = parts

    async def reload(self) -> None:
        """Read the configuration, and apply what can be changed."""
        try:
            wanted = self._load()
            new, ignored = _merge(self._settings, wanted)
            if new.provider != self._settings.provider:
                await self._parts.models.change(new.provider)
        except ConfigError as fault:
            log.error("reload_refused", reason=str(fault), effect="nothing has changed")
            return
        changed = list(_changed(self._settings, new))
        self._parts.gate.change(new.gate, read_allow_lists(new.channels_config))
        self._parts.spending.change(new.limits)
        self._parts.log(new)
        self._settings = new
        log.info("reloaded", changed=changed)
        for key, advice in ignored.items():
            log.warning("reload_ignored", key=key, advice=advice)


def read_allow_lists(channels: ChannelsSettings) -> dict[str, AllowList]:
    """Return each channel's allow list."""
    lists = {name: parse_allowed(getattr(channels, name).allowed_users) for name in PLATFORMS}
    return {**lists, **dict.fromkeys(CONSOLE, AllowList(everyone=True))}


def _merge(old: Settings, wanted: Settings) -> tuple[Settings, dict[str, str]]:
    """Return the configuration to apply, and the other changed keys with what to do about each."""
    update: dict[str, object] = {name: getattr(wanted, name) for name in SECTIONS}
    ignored: dict[str, str] = {}
    if old.provider != wanted.provider and (_is_local(old.provider) or _is_local(wanted.provider)):
        update["provider"] = old.provider
        ignored |= dict.fromkeys((key for key in _changed(old, wanted) if key.startswith("provider.")), RESTART)
    channels = old.channels_config
    for name in PLATFORMS:
        section = getattr(channels, name).model_copy(
            update={"allowed_users": getattr(wanted.channels_config, name).allowed_users}
        )
        channels = channels.model_copy(update={name: section})
    new = old.model_copy(update={**update, "channels_config": channels})
    ignored |= dict.fromkeys(_changed(new, wanted), RESTART)
    return new, ignored | _partly(old, new)


def _partly(old: Settings, new: Settings) -> dict[str, str]:
    """Return the changed keys that are applied only in part, with what to do about each."""
    notes: dict[str, str] = {}
    if new.provider.max_output_tokens > old.provider.max_output_tokens:
        notes["provider.max_output_tokens"] = f"a larger one needs room that is not kept: {RESTART}"
    if new.provider != old.provider and new.memory.embeddings == "openai":
        notes["memory.embeddings"] = f"vectors still come from the server of before: {RESTART}"
    had, has = (any(_is_name(user) for user in each.channels_config.slack.allowed_users) for each in (old, new))
    if has and not had:
        notes["channels_config.slack.allowed_users"] = f"ids count at once, @names do not: {RESTART}"
    return notes


def _is_name(user: str) -> bool:
    return user.strip().startswith("@")


def _is_local(settings: ProviderSettings) -> bool:
    """Tell whether any of the models is the embedded one, which is loaded only once."""
    background = [settings.background] if settings.background else []
    return any(model.kind == "local" for model in (settings, *settings.fallbacks, *background))


def _changed(old: Settings, new: Settings) -> Iterator[str]:
    """Yield the keys whose values differ."""
    for key in leaves(Settings):
        if _value(old, key) != _value(new, key):
            yield ".".join(key)


def _value(settings: Settings, key: tuple[str, ...]) -> object:
    found: object = settings
    for part in key:
        found = getattr(found, part) if isinstance(found, BaseModel) else None
    return found

"""Settings that this version accepts and does not act on yet: whoever sets one is told so at the start."""

from __future__ import annotations

from agentd.settings.model import Settings

__all__ = ["find_dormant"]

DORMANT = (
    "memory.",
    "storage.",
    "tasks.max_attempts",
)
"""Keys, and sections with their dot, of parts that are not there yet."""


def find_dormant(settings: Settings) -> tuple[str, ...]:
    """Return the keys that were set to something else than their default, and have no effect."""
    defaults = Settings()
    given = (key for key in settings.given if key.startswith(DORMANT))
    return tuple(sorted(key for key in given if _value(settings, key) != _value(defaults, key)))


def _value(settings: Settings, key: str) -> object:
    value: object = settings
    for name in key.split("."):
        value = getattr(value, name, None)
    return value

"""The whole configuration: its model, and the one way to load it."""

from __future__ import annotations

from agentd.settings.dormant import find_dormant
from agentd.settings.load import SEARCH, load_settings
from agentd.settings.model import Settings

__all__ = ["SEARCH", "Settings", "find_dormant", "load_settings"]

"""The whole configuration: its model, and the one way to load it."""

from __future__ import annotations

from agentd.settings.load import SEARCH, load_settings
from agentd.settings.model import Settings

__all__ = ["SEARCH", "Settings", "load_settings"]

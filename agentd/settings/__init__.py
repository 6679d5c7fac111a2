"""The whole configuration: its model, its sources, and the checks."""

from __future__ import annotations

from agentd.settings.load import SEARCH, load_given, load_settings
from agentd.settings.model import Settings
from agentd.settings.sources import find_file

__all__ = ["SEARCH", "Settings", "find_file", "load_given", "load_settings"]

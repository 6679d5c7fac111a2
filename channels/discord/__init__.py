"""Discord, by its gateway and its REST API."""

from __future__ import annotations

from channels.discord import library
from channels.discord.channel import DiscordChannel, open_discord

__all__ = ["DiscordChannel", "library", "open_discord"]

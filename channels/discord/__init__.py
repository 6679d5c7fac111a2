"""This package is the Discord channel: it receives through the gateway and sends through the REST API."""

from __future__ import annotations

from channels.discord import library
from channels.discord.channel import DiscordChannel, open_discord

__all__ = ["DiscordChannel", "library", "open_discord"]

"""This module checks a bot's intents: https://discord.com/developers/docs/events/gateway#gateway-intents."""

from __future__ import annotations

from typing import Final

GUILDS: Final = 1 << 0
GUILD_MEMBERS: Final = 1 << 1
GUILD_PRESENCES: Final = 1 << 8
GUILD_MESSAGES: Final = 1 << 9
DIRECT_MESSAGES: Final = 1 << 12
MESSAGE_CONTENT: Final = 1 << 15

KNOWN: Final = 0b11_0011_0001_1111_1111_1111_1111
"""Every bit that means something."""
PRIVILEGED: Final = {
    GUILD_MEMBERS: "GUILD_MEMBERS",
    GUILD_PRESENCES: "GUILD_PRESENCES",
    MESSAGE_CONTENT: "MESSAGE_CONTENT",
}
"""Those that are to be switched on for an application before its bot may ask for them."""

CONTENT_FLAG: Final = 1 << 19
"""The application's flag that says so of the content of messages."""

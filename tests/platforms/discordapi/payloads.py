"""This module writes people and places as the API does."""

from __future__ import annotations

from typing import Any, Final

from tests.platforms.discordapi.places import BOT, Channel, Guild, Person, Places
from tests.platforms.discordapi.snowflakes import timestamp_of

VIEW_CHANNEL: Final = 1 << 10
SEND_MESSAGES: Final = 1 << 11
READ_MESSAGE_HISTORY: Final = 1 << 16
SEND_MESSAGES_IN_THREADS: Final = 1 << 38
"""https://discord.com/developers/docs/topics/permissions"""
ORDINARY: Final = VIEW_CHANNEL | SEND_MESSAGES | READ_MESSAGE_HISTORY | SEND_MESSAGES_IN_THREADS

DENIED: Final = {
    "full": 0,
    "live": READ_MESSAGE_HISTORY,
    "read": SEND_MESSAGES | SEND_MESSAGES_IN_THREADS,
    "none": VIEW_CHANNEL,
}
"""What a channel denies to everyone, the bot included, by the access that is left."""


def write_user(person: Person) -> dict[str, Any]:
    """Return a `User`."""
    user = {
        "id": str(person.id),
        "username": person.name,
        "discriminator": "0",
        "avatar": None,
        "global_name": None if person.is_bot else person.name.title(),
    }
    return user | ({"bot": True} if person.is_bot else {})


def write_member(person: Person, *, with_user: bool = False) -> dict[str, Any]:
    """Return a `Member` of any guild."""
    member: dict[str, Any] = {
        "roles": [],
        "joined_at": timestamp_of(person.id),
        "deaf": False,
        "mute": False,
        "flags": 0,
    }
    return member | ({"user": write_user(person)} if with_user else {})


def write_channel(places: Places, channel: Channel, last_message: int | None = None) -> dict[str, Any]:
    """Return a channel of its kind."""
    last = None if last_message is None else str(last_message)
    match channel.kind:
        case "dm":
            recipients = [write_user(places.person(channel.person))]
            return {"id": str(channel.id), "type": 1, "last_message_id": last, "recipients": recipients}
        case "text":
            return _write_text_channel(channel, last)
        case "thread":
            return _write_thread(channel, last)


def _write_text_channel(channel: Channel, last: str | None) -> dict[str, Any]:
    overwrite = {"id": str(channel.guild), "type": 0, "allow": "0", "deny": str(DENIED[channel.access])}
    return {
        "id": str(channel.id),
        "type": 0,
        "name": channel.name,
        "guild_id": str(channel.guild),
        "position": 0,
        "permission_overwrites": [overwrite] if DENIED[channel.access] else [],
        "nsfw": False,
        "parent_id": None,
        "last_message_id": last,
        "rate_limit_per_user": 0,
    }


def _write_thread(channel: Channel, last: str | None) -> dict[str, Any]:
    return {
        "id": str(channel.id),
        "type": 11,
        "name": channel.name,
        "guild_id": str(channel.guild),
        "parent_id": str(channel.parent),
        "owner_id": str(channel.owner),
        "member_count": 2,
        "message_count": 0,
        "total_message_sent": 0,
        "rate_limit_per_user": 0,
        "last_message_id": last,
        "thread_metadata": {
            "archived": channel.is_archived,
            "auto_archive_duration": 4320,
            "archive_timestamp": timestamp_of(channel.id),
            "locked": channel.is_locked,
        },
    }


def write_guild(places: Places, guild: Guild) -> dict[str, Any]:
    """Return a `Guild` with its channels and threads, as GUILD_CREATE brings it; its members are the bot alone."""
    channels = [each for each in places.channels.values() if each.guild == guild.id and each.kind == "text"]
    everyone = {
        "id": str(guild.id),
        "name": "@everyone",
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "position": 0,
        "permissions": str(ORDINARY),
        "managed": False,
        "mentionable": False,
        "flags": 0,
    }
    nothing = ("icon", "splash", "discovery_splash", "description", "incidents_data", "afk_channel_id")
    nowhere = ("application_id", "system_channel_id", "rules_channel_id", "vanity_url_code", "banner")
    none_yet = ("emojis", "stickers", "features", "stage_instances", "guild_scheduled_events", "voice_states")
    levels = ("verification_level", "default_message_notifications", "explicit_content_filter", "mfa_level")
    return {
        "id": str(guild.id),
        "name": guild.name,
        "unavailable": False,
        "owner_id": str(guild.id),
        "region": "deprecated",
        "preferred_locale": "en-US",
        "public_updates_channel_id": None,
        "roles": [everyone],
        "afk_timeout": 300,
        "nsfw_level": 0,
        "premium_tier": 0,
        "system_channel_flags": 0,
        "large": False,
        "member_count": 1 + len(places.people),
        "joined_at": timestamp_of(guild.id),
        "members": [write_member(places.person(BOT), with_user=True)],
        "presences": [],
        "channels": [write_channel(places, each) for each in channels],
        "threads": [write_channel(places, each) for each in places.threads_of(guild.id)],
        **dict.fromkeys(nothing + nowhere),
        **{name: [] for name in none_yet},
        **dict.fromkeys(levels, 0),
    }

"""This module defines what a bot may send: the bodies and queries of the routes, and the gateway's commands.

Fields that the API knows and that stand nowhere here are those that this server does not act on: it refuses them.
"""

from __future__ import annotations

from typing import Any, Literal, Never, Required, TypedDict

from discord.types.snowflake import Snowflake, SnowflakeList


class AllowedMentions(TypedDict, total=False):
    """Whom a message may ping."""

    parse: list[Literal["roles", "users", "everyone"]]
    users: SnowflakeList
    roles: SnowflakeList
    replied_user: bool


class Reference(TypedDict, total=False):
    """What a message replies to."""

    type: Literal[0]
    message_id: Required[Snowflake]
    channel_id: Snowflake
    guild_id: Snowflake
    fail_if_not_exists: bool


class Written(TypedDict, total=False):
    """What every message may hold that a bot writes."""

    content: Required[str]
    allowed_mentions: AllowedMentions
    flags: int
    tts: Literal[False]
    embeds: list[Never]
    components: list[Never]
    attachments: list[Never]


class CreateMessage(Written, total=False):
    """A new message."""

    nonce: str | int
    enforce_nonce: bool
    message_reference: Reference


class CallbackMessage(Written, total=False):
    """The message that answers an interaction."""


class Deferral(TypedDict, total=False):
    """How the message will be that an interaction is to be answered with later."""

    flags: int


class Callback(TypedDict, total=False):
    """The answer to an interaction: 4 is a message, 5 a promise of one."""

    type: Required[Literal[4, 5]]
    data: CallbackMessage | Deferral


class CallbackQuery(TypedDict, total=False):
    """How an answer to an interaction is asked to be confirmed."""

    with_response: str


class FollowUpQuery(TypedDict, total=False):
    """How a later message to an interaction is asked to be confirmed."""

    wait: str
    with_components: Literal["0"]


class HistoryQuery(TypedDict, total=False):
    """Which messages of a channel are asked for."""

    limit: str
    before: str
    after: str
    around: str


class Nothing(TypedDict):
    """No parameter at all."""


class OpenDM(TypedDict):
    """With whom to talk."""

    recipient_id: Snowflake


class Command(TypedDict, total=False):
    """A slash command."""

    name: Required[str]
    description: Required[str]
    type: Literal[1]
    options: list[dict[str, Any]]
    nsfw: bool
    dm_permission: bool
    default_member_permissions: str | None
    contexts: list[Literal[0, 1, 2]] | None
    integration_types: list[Literal[0, 1]] | None
    name_localizations: dict[str, str] | None
    description_localizations: dict[str, str] | None


class CommandsQuery(TypedDict, total=False):
    """How the list of commands is asked for."""

    with_localizations: str


class Properties(TypedDict):
    """What kind of client it is."""

    os: str
    browser: str
    device: str


class Identify(TypedDict, total=False):
    """The beginning of a session."""

    token: Required[str]
    properties: Required[Properties]
    intents: Required[int]
    compress: bool
    large_threshold: int
    shard: list[int]
    presence: dict[str, Any]


class Resume(TypedDict):
    """The wish to go on with one."""

    token: str
    session_id: str
    seq: int


class Presence(TypedDict):
    """How the bot shows itself."""

    since: int | float | None
    activities: list[dict[str, Any]]
    status: Literal["online", "dnd", "idle", "invisible", "offline"]
    afk: bool

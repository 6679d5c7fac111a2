"""This module lists the routes of the loopback Discord, and what each of them takes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import web

from tests.platforms.discordapi.answers import outside
from tests.platforms.discordapi.description import faults
from tests.platforms.discordapi.library import described
from tests.platforms.discordapi.requests import (
    Callback,
    CallbackQuery,
    Command,
    CommandsQuery,
    CreateMessage,
    FollowUpQuery,
    HistoryQuery,
    Nothing,
    OpenDM,
    Written,
)

BASE: Final = "/api/v10"
LIST: Final[Any] = list
"""A list, for descriptions that a type checker cannot know."""

SEND: Final = "POST /channels/{channel_id}/messages"
EDIT: Final = "PATCH /channels/{channel_id}/messages/{message_id}"
DELETE: Final = "DELETE /channels/{channel_id}/messages/{message_id}"
HISTORY: Final = "GET /channels/{channel_id}/messages"
FETCH: Final = "GET /channels/{channel_id}/messages/{message_id}"
TYPING: Final = "POST /channels/{channel_id}/typing"
CHANNEL: Final = "GET /channels/{channel_id}"
OPEN_DM: Final = "POST /users/@me/channels"
ME: Final = "GET /users/@me"
USER: Final = "GET /users/{user_id}"
APPLICATION: Final = "GET /oauth2/applications/@me"
COMMANDS: Final = "GET /applications/{application_id}/commands"
SET_COMMANDS: Final = "PUT /applications/{application_id}/commands"
CALLBACK: Final = "POST /interactions/{webhook_id}/{webhook_token}/callback"
FOLLOW_UP: Final = "POST /webhooks/{webhook_id}/{webhook_token}"
ORIGINAL: Final = "GET /webhooks/{webhook_id}/{webhook_token}/messages/@original"
EDIT_ORIGINAL: Final = "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original"
DELETE_ORIGINAL: Final = "DELETE /webhooks/{webhook_id}/{webhook_token}/messages/@original"
GATEWAY_ADDRESS: Final = "GET /gateway"
GATEWAY_BOT: Final = "GET /gateway/bot"
"""The names of the routes, for `calls` and `enqueue`: method and template, as discord.py writes it."""

CONNECT: Final = "connect"
"""Names, for `calls` and `enqueue`, the opening of a connection to the gateway."""
DOWNLOAD: Final = "download"
"""Names, for `calls` and `enqueue`, the download of an attachment."""


@dataclass(frozen=True, slots=True)
class Takes:
    """What a route takes and gives."""

    body: Any = None
    """The description of the body; None where there is none."""
    query: Any = Nothing
    gives: Any = None
    """The description of the answer; None where it has no body."""
    is_open: bool = False
    """Whether it asks for no token."""


ROUTES: Final[Mapping[str, Takes]] = {
    SEND: Takes(body=CreateMessage, gives=described("message.Message")),
    EDIT: Takes(body=Written, gives=described("message.Message")),
    DELETE: Takes(),
    HISTORY: Takes(query=HistoryQuery, gives=LIST[described("message.Message")]),
    FETCH: Takes(gives=described("message.Message")),
    TYPING: Takes(),
    CHANNEL: Takes(
        gives=described("channel.DMChannel") | described("channel.TextChannel") | described("threads.Thread")
    ),
    OPEN_DM: Takes(body=OpenDM, gives=described("channel.DMChannel")),
    ME: Takes(gives=described("user.User")),
    USER: Takes(gives=described("user.User")),
    APPLICATION: Takes(gives=described("appinfo.AppInfo")),
    COMMANDS: Takes(query=CommandsQuery, gives=LIST[described("command.GlobalApplicationCommand")]),
    SET_COMMANDS: Takes(body=list[Command], gives=LIST[described("command.GlobalApplicationCommand")]),
    CALLBACK: Takes(
        body=Callback, query=CallbackQuery, gives=described("interactions.InteractionCallback"), is_open=True
    ),
    FOLLOW_UP: Takes(body=Written, query=FollowUpQuery, gives=described("message.Message"), is_open=True),
    ORIGINAL: Takes(gives=described("message.Message"), is_open=True),
    EDIT_ORIGINAL: Takes(body=Written, gives=described("message.Message"), is_open=True),
    DELETE_ORIGINAL: Takes(is_open=True),
    GATEWAY_ADDRESS: Takes(gives=described("gateway.Gateway"), is_open=True),
    GATEWAY_BOT: Takes(gives=described("gateway.GatewayBot")),
}


def check_query(route: str, query: Mapping[str, str]) -> None:
    """Raise Outside for parameters of the address that the route does not take."""
    for fault in faults(ROUTES[route].query, query):
        raise outside(400, "Invalid Form Body", f"query: {fault}", 50035)


async def read_body(route: str, request: web.Request) -> Any:
    """Return what a call brings along; raises Outside where that is not what the route takes."""
    shape = ROUTES[route].body
    sent = await request.read()
    if shape is None:
        if sent:
            raise outside(400, "Invalid Form Body", "takes no body", 50035)
        return None
    if request.content_type != "application/json":
        raise outside(400, "Invalid Form Body", f"the tests' Discord reads no {request.content_type}", 50035)
    try:
        body = json.loads(sent)
    except ValueError as fault:
        raise outside(400, "400: Bad Request", f"no JSON: {fault}") from fault
    for wrong in faults(shape, body):
        raise outside(400, "Invalid Form Body", wrong, 50035)
    return body

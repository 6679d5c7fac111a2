"""This module asks Slack which app and bot the tokens belong to, and which scopes are missing, for `init` and `check`.

It opens no Socket Mode connection, so that a daemon running with the same tokens is not disturbed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, Final

from pydantic import SecretStr
from slack_sdk.web.async_client import AsyncWebClient

from channels.errors import ChannelUnavailable
from channels.health import Health
from channels.introduction import Introduction
from channels.settings import SlackSettings
from channels.slack.connection import Connection
from channels.slack.faults import Misconfigured
from channels.slack.setup import wrong_app, wrong_bot
from channels.slack.standing import Standing
from channels.slack.waits import WAITS

__all__ = ["introduce_slack"]

SCOPES: Final = ("chat:write", "im:history", "users:read", "files:read")
"""The scopes of docs/slack-manifest.yaml that every app needs."""
CHANNEL_SCOPES: Final = ("app_mentions:read", "channels:history", "groups:history", "mpim:history")
"""The scopes that it needs for more than direct messages."""

# A connection is made with both tokens; the one that is not there yet is never sent.
_NO_BOT, _NO_APP = SecretStr("xoxb-none"), SecretStr("xapp-none")


async def introduce_slack(settings: SlackSettings, seconds: float) -> Introduction:
    """Return what the tokens belong to; one of the two may be missing. Raises the classes of `channels.errors`."""
    both = settings.model_copy(
        update={"bot_token": settings.bot_token or _NO_BOT, "app_token": settings.app_token or _NO_APP}
    )
    # The caller's time limit is the one that counts: were all the same, the second would cut the closing.
    waits = replace(WAITS, connect_seconds=2 * seconds, call_seconds=2 * seconds)
    connection = Connection(both, Standing(Health(monotonic)), waits)
    try:
        if settings.app_token:
            await _try_app(connection)
        return await _ask_bot(connection, settings) if settings.bot_token else Introduction("an app with Socket Mode")
    finally:
        await connection.close()


async def _try_app(connection: Connection) -> None:
    try:
        await connection.open_address()
    except Misconfigured as fault:
        raise ChannelUnavailable(wrong_app(fault)) from None


async def _ask_bot(connection: Connection, settings: SlackSettings) -> Introduction:
    granted: set[str] = set()

    async def ask(client: AsyncWebClient) -> Any:
        answer = await client.auth_test()
        # What the token may is told with every answer (https://docs.slack.dev/reference/methods/auth.test).
        said = next((value for name, value in answer.headers.items() if name.lower() == "x-oauth-scopes"), "")
        granted.update(scope.strip() for scope in str(said).split(",") if scope.strip())
        return answer

    try:
        answer = await connection.call(ask)
    except Misconfigured as fault:
        raise ChannelUnavailable(wrong_bot(fault, is_slack=not settings.api_base_url)) from None
    return Introduction(
        _who(answer), "Find it under Apps in Slack's side bar, and write to it", _lacks(granted, settings)
    )


def _who(answer: Mapping[str, Any]) -> str:
    return f"the app @{answer.get('user', '?')} in the workspace {answer.get('team', '?')}"


def _lacks(granted: set[str], settings: SlackSettings) -> str:
    """Return which scopes are missing; empty if none are, or if Slack names no scopes at all."""
    needed = SCOPES if settings.channels == "off" else (*SCOPES, *CHANNEL_SCOPES)
    missing = [scope for scope in needed if scope not in granted] if granted else []
    what = f"the app lacks {', '.join(missing)}: add that at OAuth & Permissions of the app, and install it again"
    return what if missing else ""

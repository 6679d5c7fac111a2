"""This module translates errors of Slack and slack_sdk into the classes of `channels.errors`.

An error of the library carries the whole answer, with what people wrote, so that none is kept as a cause.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from math import isnan
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError, SlackClientError

from channels.errors import ChannelError, NotSent, RateLimited, SendFailed, Unreachable

__all__ = [
    "UNREADABLE",
    "ChatClosed",
    "Misconfigured",
    "Refusal",
    "Silent",
    "TokenRefused",
    "Unsaid",
    "WireSwitchedOff",
    "is_about_blocks",
    "is_gone",
    "retry_seconds",
    "sentence_for",
    "translate",
]

UNREADABLE = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""What the library raises on an answer of a shape that it does not expect."""

MOST_RETRY_SECONDS = 3_600.0

_NEVER_LEFT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL)

_TOKEN = frozenset(
    {"invalid_auth", "not_authed", "account_inactive", "token_revoked", "token_expired", "not_allowed_token_type"}
)
_CLOSED = frozenset({"channel_not_found", "not_in_channel", "is_archived", "user_disabled", "cannot_dm_bot"})
_UNCERTAIN = frozenset({"internal_error", "fatal_error"})
"""Errors after which, as Slack says, some aspect of the call may have succeeded."""
_LATER = frozenset({"service_unavailable", "team_added_to_org", "request_timeout"})
_RATES = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_OFF = frozenset({"link_disabled", "socket_mode_disabled", "socket_mode_not_enabled"})
_BLOCKS = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "markdown_text_conflict"}
)
_GONE = frozenset({"message_not_found"})


class Misconfigured(NotSent):
    """The app's setup does not allow the call: only changing it helps. `error` is Slack's word for the reason."""

    def __init__(self, error: str, detail: str = "") -> None:
        """Say what Slack said."""
        super().__init__(f"{error} ({detail})" if detail else error)
        self.error = error


class TokenRefused(Misconfigured):
    """Slack does not take this token."""


class WireSwitchedOff(Misconfigured):
    """Socket Mode is switched off in the app's settings."""


class Silent(Unreachable):
    """Slack took a connection, and sent nothing on it."""


class Unsaid(RateLimited):
    """A rate limit (429) that does not say how long to wait."""

    def __init__(self, error: str) -> None:
        """Say what Slack said."""
        super().__init__(error, retry_seconds({}))


class ChatClosed(SendFailed):
    """The bot may not write there any more: it was removed, or the conversation is archived or gone."""


class Refusal(SendFailed):
    """Slack refused a call for good; `error` is Slack's word for the reason."""

    def __init__(self, error: str, detail: str) -> None:
        """Say what Slack said."""
        super().__init__(f"{error} ({detail})" if detail else error)
        self.error = error


def translate(fault: Exception) -> ChannelError:
    """Return the class of `channels.errors` for a fault; of an answer only Slack's own words are kept."""
    match fault:
        case SlackApiError():
            return _judge(fault)
        case SlackClientError():
            return SendFailed(f"Slack's library refuses the call ({type(fault).__name__})")
        case _ if isinstance(fault, _NEVER_LEFT):
            return NotSent(f"no connection to Slack ({type(fault).__name__})")
        case aiohttp.ClientError() | OSError():
            return Unreachable(f"the connection to Slack broke ({type(fault).__name__})")
        case _:
            return Unreachable(f"Slack's answer cannot be read ({type(fault).__name__})")


def is_about_blocks(fault: SendFailed) -> bool:
    """Tell whether a message was refused for its blocks: it can be shown without."""
    return isinstance(fault, Refusal) and fault.error in _BLOCKS


def is_gone(fault: SendFailed) -> bool:
    """Tell whether there is no such message any more."""
    return isinstance(fault, Refusal) and fault.error in _GONE


def sentence_for(fault: Misconfigured) -> str:
    """Return a sentence about what became wrong with the app or its tokens while the daemon ran."""
    match fault:
        case WireSwitchedOff():
            return f"Socket Mode is switched off in the app's settings ({fault}): switch it on at Socket Mode"
        case TokenRefused() if fault.error == "account_inactive":
            return f"the app was removed from the workspace ({fault}): install it again"
        case TokenRefused():
            return f"Slack refuses a token that it took before: {fault}"
        case _:
            return f"the app's settings at Slack do not allow this: {fault}"


def retry_seconds(headers: Mapping[str, str]) -> float:
    """Return the seconds that `Retry-After` asks for, from 1 up to 3,600; 1 if it is missing or no number."""
    with suppress(ValueError):
        seconds = float(headers.get("Retry-After", ""))
        return 1.0 if isnan(seconds) else min(max(seconds, 1.0), MOST_RETRY_SECONDS)
    return 1.0


def _judge(fault: SlackApiError) -> ChannelError:
    response: Any = fault.response
    status = getattr(response, "status_code", None) or getattr(response, "status", 0)
    data = getattr(response, "data", None)
    body: Mapping[str, Any] = data if isinstance(data, dict) else {}
    error = str(body.get("error", ""))
    if status == HTTPStatus.TOO_MANY_REQUESTS or error in _RATES:
        says = "Retry-After" in response.headers
        error = error or "ratelimited"
        return RateLimited(error, retry_seconds(response.headers)) if says else Unsaid(error)
    if status != HTTPStatus.OK or not error or body.get("ok") is not False:
        return Unreachable(f"Slack answers {status}, which cannot be read")
    detail = _detail(body)
    for errors, build in _CLASSES:
        if error in errors:
            return build(error, detail)
    return Refusal(error, detail)


_CLASSES: tuple[tuple[frozenset[str], Callable[[str, str], ChannelError]], ...] = (
    (_TOKEN, TokenRefused),
    (_OFF, WireSwitchedOff),
    (_CLOSED, lambda error, _detail: ChatClosed(error)),
    (_UNCERTAIN, lambda error, _detail: Unreachable(error)),
    (_LATER, lambda error, _detail: NotSent(error)),
)


def _detail(body: Mapping[str, Any]) -> str:
    """Return the details of an error: the missing scope, or what was wrong with the arguments, but none of the text."""
    if body.get("needed"):
        return f"needs {body['needed']}"
    metadata = body.get("response_metadata")
    messages = metadata.get("messages") if isinstance(metadata, dict) else None
    return "; ".join(str(message)[:200] for message in messages[:3]) if isinstance(messages, list) else ""

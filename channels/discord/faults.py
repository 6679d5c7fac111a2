"""This module translates errors of Discord and discord.py into the classes of `channels.errors`."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from http import HTTPStatus

import aiohttp
import discord

from channels.discord.calls import Call, NotDiscord, ServerFault, TooMany
from channels.errors import ChannelError, NotSent, RateLimited, SendFailed, Unreachable

__all__ = ["FAULTS", "UNREADABLE", "ForeignRefusal", "Refusal", "TokenRefused", "is_gone", "translate"]

UNREADABLE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    discord.DiscordException,
    zlib.error,
)
"""What the library raises on something of a shape that it does not expect."""

FAULTS = (TooMany, ServerFault, aiohttp.ClientError, OSError, asyncio.TimeoutError, *UNREADABLE)
"""Everything that a REST call can raise."""

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE = 10003, 10008

_SENTENCES = {
    10003: "there is no such channel any more",
    10008: "there is no such message any more",
    50001: "the bot may not see that channel",
    50007: "that person takes no messages from the bot: they blocked it, shut their messages, or left its servers",
    50008: "nothing can be written in a channel of that kind",
    50013: "the bot may not write there: give it Send Messages, in threads Send Messages in Threads",
    50083: "that thread is archived and locked",
}
"""Sentences for Discord's error codes (https://docs.discord.com/developers/topics/opcodes-and-status-codes#json)."""


class Refusal(SendFailed):
    """Discord refused a call for good; `code` is Discord's error code, 0 if it gave none."""

    def __init__(self, text: str, code: int) -> None:
        """Keep Discord's text and code."""
        super().__init__(text)
        self.code = code


class TokenRefused(NotSent):
    """Discord does not know this token (401)."""


class ForeignRefusal(NotSent):
    """Something that is not Discord, such as a proxy, refused a call: the call is made again."""


def translate(fault: Exception, call: Call, clean: Callable[[str], str]) -> ChannelError:
    """Return the class of `channels.errors` for a call's fault; `clean` takes the token out of its text."""
    text = clean(str(fault)) or type(fault).__name__
    match fault:
        case TooMany():
            return RateLimited(text, fault.seconds)
        case discord.RateLimited():
            return RateLimited(text, fault.retry_after)
        case discord.LoginFailure():
            return TokenRefused("it does not know the token")
        case discord.HTTPException():
            return _refusal(fault, clean)
        case NotDiscord():
            return ForeignRefusal(text)
        case TimeoutError():
            text = "it has not answered in time"
        case ServerFault() | aiohttp.ClientError() | OSError():
            pass
        case _:
            text = f"its answer cannot be read ({type(fault).__name__})"
    return Unreachable(text) if call.is_sent else NotSent(text)


def is_gone(fault: SendFailed) -> bool:
    """Tell whether a call was refused because the message or the channel no longer exists."""
    return isinstance(fault, Refusal) and fault.code in (UNKNOWN_CHANNEL, UNKNOWN_MESSAGE)


def _refusal(fault: discord.HTTPException, clean: Callable[[str], str]) -> ChannelError:
    said = clean(fault.text).strip() or str(fault.status)
    if fault.status == HTTPStatus.UNAUTHORIZED:
        return TokenRefused("it does not know the token")
    sentence = _SENTENCES.get(fault.code)
    said = f"{said} ({fault.code or fault.status})"
    return Refusal(f"{sentence}: {said}" if sentence else said, fault.code)

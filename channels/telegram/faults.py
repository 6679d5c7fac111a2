"""This module translates errors of Telegram and python-telegram-bot into the classes of `channels.errors`.

The original exception may contain the bot's token, which is a part of every address, so that it is not kept as a cause.
"""

from __future__ import annotations

from collections.abc import Callable

import httpx
from telegram.error import (
    BadRequest,
    ChatMigrated,
    Conflict,
    Forbidden,
    InvalidToken,
    TelegramError,
)

from channels.errors import ChannelError, ChatMoved, NotSent, RateLimited, SendFailed, Unreachable
from channels.telegram.requests import TooMany

__all__ = [
    "UNREADABLE",
    "ChatClosed",
    "SlotTaken",
    "Stalled",
    "TokenRefused",
    "is_about_marks",
    "is_gone",
    "is_invisible",
    "is_unchanged",
    "translate",
]

UNREADABLE = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)
"""What the library raises on an answer or an update of a shape that it does not expect."""

_NEVER_LEFT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


class ChatClosed(SendFailed):
    """The bot may not write in that chat any more (403): it was blocked or removed, or the account is gone."""


class SlotTaken(Unreachable):
    """Another program polls with this token, or a webhook takes the updates (409)."""

    @property
    def is_webhook(self) -> bool:
        """Whether a webhook takes the updates."""
        return "webhook" in str(self).lower()


class Stalled(Unreachable):
    """A poll had no answer in time."""


class TokenRefused(Unreachable):
    """Telegram does not know this token (401, 404)."""


def translate(fault: TelegramError, clean: Callable[[str], str]) -> ChannelError:
    """Return the class of `channels.errors` for a fault of the library; `clean` takes the token out of its text."""
    text = clean(str(fault))
    match fault:
        case TooMany():
            return RateLimited(text, fault.seconds)
        case ChatMigrated():
            return ChatMoved(text, str(fault.new_chat_id))
        case Forbidden():
            return ChatClosed(text)
        case BadRequest():
            return SendFailed(text)
        case InvalidToken():
            return TokenRefused(text)
        case Conflict():
            return SlotTaken(text)
    return NotSent(text) if isinstance(fault.__cause__, _NEVER_LEFT) else Unreachable(text)


def is_unchanged(fault: SendFailed) -> bool:
    """Tell whether an edit was refused because the message shows the same text already."""
    return "message is not modified" in str(fault).lower()


def is_gone(fault: SendFailed) -> bool:
    """Tell whether a deletion was refused because there is no such message any more."""
    return "message to delete not found" in str(fault).lower()


def is_about_marks(fault: SendFailed) -> bool:
    """Tell whether a text was refused for its entities."""
    return any(word in str(fault).lower() for word in ("entity", "entities"))


def is_invisible(fault: SendFailed) -> bool:
    """Tell whether a text was refused because Telegram sees nothing in it."""
    return any(words in str(fault).lower() for words in ("text is empty", "text must be non-empty"))

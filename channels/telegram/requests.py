"""This module sends the library's HTTP requests, raises on 429, and takes the raw updates out of a poll's answer.

The library would drop a whole answer of updates for one that it cannot parse, and would warn on every 429.
"""

from __future__ import annotations

import json
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from telegram.error import TelegramError
from telegram.request import HTTPXRequest

__all__ = ["CallRequest", "PollRequest", "TooMany"]

_NO_UPDATES = b'{"ok":true,"result":[]}'


class TooMany(TelegramError):
    """Telegram's rate limit (429): it takes no call for so many seconds."""

    def __init__(self, description: str, seconds: float) -> None:
        """Keep Telegram's text and the seconds to wait."""
        super().__init__(description)
        self.seconds = seconds


class CallRequest(HTTPXRequest):
    """Sends any request of the library."""

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Return the status and the body of an answer. Raises TooMany."""
        code, payload = await super().do_request(*args, **kwargs)
        if code == HTTPStatus.TOO_MANY_REQUESTS:
            raise _too_many(payload)
        return code, payload


class PollRequest(CallRequest):
    """Sends polls, and keeps the updates of the last answer as they came."""

    def __init__(self, **options: Any) -> None:
        """Prepare connections."""
        super().__init__(**options)
        self.updates: list[Any] = []

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Return an answer without its updates, which are kept in `updates`."""
        code, payload = await super().do_request(*args, **kwargs)
        with suppress(ValueError, RecursionError):
            answer = json.loads(payload)
            if code == HTTPStatus.OK and isinstance(answer, dict) and isinstance(answer.get("result"), list):
                self.updates = answer["result"]
                return code, _NO_UPDATES
        return code, payload


def _too_many(payload: bytes) -> TooMany:
    """Read the `retry_after` of a 429, in seconds; 1 if there is none or less."""
    description, seconds = "Too Many Requests", 1.0
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        answer = json.loads(payload)
        description = str(answer["description"])
        seconds = max(float(answer["parameters"]["retry_after"]), seconds)
    return TooMany(description, seconds)

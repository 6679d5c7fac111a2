"""This module checks each response of Discord's REST API, and raises on 429 and 5xx before discord.py can retry.

The library would wait inside a call for as long as a rate limit lasts, and try five times after a server error. The
daemon does both itself, so that one call here makes one request.
"""

from __future__ import annotations

import json
from contextlib import suppress
from contextvars import ContextVar
from dataclasses import dataclass
from http import HTTPStatus
from math import isfinite

import aiohttp

__all__ = ["CALL", "Call", "NotDiscord", "ServerFault", "TooMany", "build_trace"]

UNSAID_SECONDS = 5.0
"""The pause after a 429 that does not say how long to wait."""

MOST_SECONDS = 86_400.0
"""The longest pause after a 429; if that is too early, Discord answers 429 once more."""


class TooMany(Exception):
    """Discord's rate limit (429): it takes no call for so many seconds."""

    def __init__(self, text: str, seconds: float, *, is_global: bool) -> None:
        """Keep Discord's text; `is_global`: the limit holds for calls of every kind."""
        super().__init__(text)
        self.seconds = seconds
        self.is_global = is_global


class ServerFault(Exception):
    """Discord failed (5xx); whether the call took effect is not known."""


class NotDiscord(ServerFault):
    """Something in front of Discord, such as a proxy, refused the call, or this address is not Discord's."""


@dataclass(slots=True)
class Call:
    """One REST call that is under way."""

    is_sent: bool = False
    """Whether the request may have reached Discord."""


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)
"""The call that the current task is making."""


def build_trace() -> aiohttp.TraceConfig:
    """Return the aiohttp trace that checks every response before the library sees it."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_note_sent)
    trace.on_request_end.append(_judge)
    return trace


async def _note_sent(_session: object, _context: object, _params: object) -> None:
    call = CALL.get()
    if call is not None:
        call.is_sent = True


async def _judge(_session: object, _context: object, params: aiohttp.TraceRequestEndParams) -> None:
    """Raise TooMany, ServerFault or NotDiscord."""
    status = params.response.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise _too_many(await params.response.read(), params.response.headers.get("Retry-After", ""))
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise ServerFault(f"Discord answers {status}")
    if status >= HTTPStatus.MULTIPLE_CHOICES and not _is_discords(await params.response.read()):
        raise NotDiscord(
            f"something that is not Discord has refused it ({status}): look at the network's proxy, if any"
        )


def _is_discords(body: bytes) -> bool:
    """Tell whether a refusal comes from Discord itself, whose errors always have a code, 0 at least
    (https://docs.discord.com/developers/reference#error-messages).
    """
    with suppress(ValueError, RecursionError):
        answer = json.loads(body)
        return isinstance(answer, dict) and isinstance(answer.get("code"), int)
    return False


def _too_many(body: bytes, header: str) -> TooMany:
    """Read a 429: its `retry_after` from the body, to the millisecond, else from the header `Retry-After`.

    A 429 without such a body comes from Cloudflare, which stands in front of all of Discord, so that it is global.
    """
    with suppress(ValueError, TypeError, LookupError, RecursionError):
        answer = json.loads(body)
        text = str(answer.get("message", "")) or "too many requests"
        return TooMany(text, _believed(answer["retry_after"]), is_global=bool(answer.get("global")))
    seconds = UNSAID_SECONDS
    with suppress(ValueError):
        seconds = _believed(header)
    return TooMany("too many requests", seconds, is_global=True)


def _believed(said: str | float) -> float:
    """Return a plausible pause in seconds. Raises ValueError and TypeError for what is no number."""
    seconds = float(said)
    return min(seconds, MOST_SECONDS) if isfinite(seconds) and seconds > 0 else UNSAID_SECONDS

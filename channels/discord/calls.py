"""What one call of the REST API came to, seen before the library makes something of it.

The library would wait, inside a call, as long as Discord wants to be left alone, and try five times where Discord has a
fault. The daemon does both itself: one request is one call here.
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
"""How long Discord is left alone where it does not say."""

MOST_SECONDS = 86_400.0
"""The longest that it is left alone before it is asked again; it says so once more where that was too early."""


class TooMany(Exception):
    """Discord wants no call for so many seconds (429)."""

    def __init__(self, text: str, seconds: float, *, is_global: bool) -> None:
        """Say what Discord said; `is_global`: it wants none of any kind."""
        super().__init__(text)
        self.seconds = seconds
        self.is_global = is_global


class ServerFault(Exception):
    """Discord has a fault of its own (5xx); whether the call did something is not known."""


class NotDiscord(ServerFault):
    """Something before Discord, such as a proxy, has refused the call, or there is no Discord at this address."""


@dataclass(slots=True)
class Call:
    """One call on its way."""

    is_sent: bool = False
    """Whether something of it may have arrived."""


CALL: ContextVar[Call | None] = ContextVar("CALL", default=None)
"""The call that this task is making."""


def build_trace() -> aiohttp.TraceConfig:
    """Return what looks at every request of the library."""
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
    """Tell whether Discord itself has refused a call: it always gives a code, which is 0 where it has none
    (https://docs.discord.com/developers/reference#error-messages).
    """
    with suppress(ValueError, RecursionError):
        answer = json.loads(body)
        return isinstance(answer, dict) and isinstance(answer.get("code"), int)
    return False


def _too_many(body: bytes, header: str) -> TooMany:
    """Read how long Discord wants to be left alone: in the body to the millisecond, else in the header.

    What has no such body comes from Cloudflare, which stands before all of Discord.
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
    """Return a time that may be meant. Raises ValueError and TypeError for what is no number."""
    seconds = float(said)
    return min(seconds, MOST_SECONDS) if isfinite(seconds) and seconds > 0 else UNSAID_SECONDS

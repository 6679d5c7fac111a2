"""This module builds Discord's errors: https://discord.com/developers/docs/topics/opcodes-and-status-codes#json."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiohttp import web

JSON: Final = {"Content-Type": "application/json"}
"""Word for word: discord.py reads a body as JSON only where this stands, without a charset."""


def answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return a body as Discord sends it; None is no body at all."""
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(body=json.dumps(body).encode(), status=status, headers={**JSON, **(headers or {})})


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(self, status: int, code: int, message: str, more: Mapping[str, Any] | None = None) -> None:
        """Answer with this status, Discord's code of its own, and its words; `more` stands beside them."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.more = dict(more or {})

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return it as Discord writes errors."""
        return answer(self.status, {"message": self.message, "code": self.code, **self.more}, headers)


class Outside(Refused):
    """The call is not one that the API's description allows: a fault of who calls, which tests look for."""

    sentence = ""
    """What is wrong, for who reads the test's output."""


class TooMany(Refused):
    """Too many calls: who calls has to wait."""

    def __init__(self, retry_after: float, *, is_global: bool = False, headers: Mapping[str, str]) -> None:
        """Ask for a wait of so many seconds."""
        super().__init__(429, 0, "You are being rate limited.")
        self.retry_after = retry_after
        self.is_global = is_global
        self.headers = headers

    def response(self, headers: Mapping[str, str] | None = None) -> web.Response:
        """Return it with the headers that a client goes by."""
        body = {"message": self.message, "retry_after": self.retry_after, "global": self.is_global}
        return answer(429, body, {**(headers or {}), **self.headers})


def outside(status: int, message: str, sentence: str, code: int = 0) -> Outside:
    """Return the refusal of a call that the description does not know."""
    refusal = Outside(status, code, message)
    refusal.sentence = sentence
    return refusal


def invalid_form(where: Sequence[str], code: str, words: str) -> Outside:
    """Return the refusal of a body for one of its fields."""
    refusal = Outside(400, 50035, "Invalid Form Body", _errors(where, code, words))
    refusal.sentence = f"{'.'.join(where)}: {words}"
    return refusal


def unknown_reference(code: str, words: str) -> Refused:
    """Return the refusal of a reply to what cannot be replied to: it may have been deleted meanwhile."""
    return Refused(400, 50035, "Invalid Form Body", _errors(("message_reference",), code, words))


def _errors(where: Sequence[str], code: str, words: str) -> Mapping[str, Any]:
    errors: dict[str, Any] = {"_errors": [{"code": code, "message": words}]}
    for name in reversed(where):
        errors = {name: errors}
    return {"errors": errors}


def unauthorized() -> Refused:
    """Return the refusal of a token."""
    return Refused(401, 0, "401: Unauthorized")


def unknown_channel() -> Refused:
    """Return the refusal of a channel that is not there."""
    return Refused(404, 10003, "Unknown Channel")


def unknown_message() -> Refused:
    """Return the refusal of a message that is not there."""
    return Refused(404, 10008, "Unknown Message")


def missing_access() -> Refused:
    """Return the refusal of a channel that the bot does not see."""
    return Refused(403, 50001, "Missing Access")


def missing_permissions() -> Refused:
    """Return the refusal of what the bot may not do in a channel."""
    return Refused(403, 50013, "Missing Permissions")

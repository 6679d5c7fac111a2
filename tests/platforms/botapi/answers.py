"""This module builds the error answers of the Bot API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

Params = Mapping[str, Any]
"""The parameters of a call, by name."""


class Refused(Exception):
    """The server's answer is an error."""

    def __init__(
        self, status: int, description: str, retry_after: int | None = None, *, migrate_to: int | None = None
    ) -> None:
        """Answer with this code and these words."""
        super().__init__(description)
        self.status = status
        self.description = description
        self.retry_after = retry_after
        self.migrate_to = migrate_to

    def response(self) -> web.Response:
        """Return it as the Bot API writes errors."""
        body: dict[str, Any] = {"ok": False, "error_code": self.status, "description": self.description}
        parameters = {"retry_after": self.retry_after, "migrate_to_chat_id": self.migrate_to}
        if given := {name: value for name, value in parameters.items() if value is not None}:
            body["parameters"] = given
        headers = {"Retry-After": str(self.retry_after)} if self.retry_after else None
        return web.json_response(body, status=self.status, headers=headers)


class Outside(Refused):
    """The call is not one that the API's description allows: a fault of who calls, which tests look for."""


def bad_request(words: str) -> Refused:
    """Return the refusal of a call that is well formed and still cannot be done."""
    return Refused(400, f"Bad Request: {words}")

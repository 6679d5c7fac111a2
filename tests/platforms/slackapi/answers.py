"""This module builds the error answers of the Web API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

Params = Mapping[str, Any]
"""The arguments of a call, by name."""


class Refused(Exception):
    """The server's answer is an error, which the Web API names by a word; it comes with status 200 but for rates."""

    def __init__(self, error: str, more: Mapping[str, Any] | None = None, *, retry_after: int | None = None) -> None:
        """Answer with this word, and what else stands in the body."""
        super().__init__(error)
        self.error = error
        self.more = dict(more or {})
        self.retry_after = retry_after

    @property
    def sentence(self) -> str:
        """Say it for a test's list of refusals."""
        return self.error

    def response(self) -> web.Response:
        """Return it as the Web API writes errors."""
        body = {"ok": False, "error": self.error, **self.more}
        if self.retry_after is not None:
            return web.json_response(body, status=429, headers={"Retry-After": str(self.retry_after)})
        return web.json_response(body)


class Outside(Refused):
    """The call is not one that the API knows: a fault of who calls, which tests look for."""

    def __init__(self, error: str, words: str, more: Mapping[str, Any] | None = None) -> None:
        """Answer with this word, and say in `words` what was wrong."""
        super().__init__(error, {"response_metadata": {"messages": [f"[ERROR] {words}"]}, **(more or {})})
        self.words = words

    @property
    def sentence(self) -> str:
        """Say it for a test's list of refusals."""
        return f"{self.error}: {self.words}"


def too_many(retry_after: int) -> Refused:
    """Return the refusal that says how many seconds to wait (https://docs.slack.dev/apis/web-api/rate-limits)."""
    return Refused("ratelimited", retry_after=retry_after)

"""The dialect of servers that speak Anthropic's Messages API: Anthropic, and compatible ones."""

from __future__ import annotations

from agentd.providers.anthropic_wire import OPTIONAL, build_body, parse_piece
from agentd.providers.remote import Dialect

__all__ = ["ANTHROPIC"]

VERSION = "2023-06-01"
"""The protocol's version. In the newer one, 2026-10-21, no model takes a temperature; compatible servers know
this one.
"""


def _build_headers(key: str) -> dict[str, str]:
    headers = {"anthropic-version": VERSION}
    return {**headers, "x-api-key": key} if key else headers


ANTHROPIC = Dialect(
    base_url="https://api.anthropic.com",
    path="/v1/messages",
    build_headers=_build_headers,
    build_body=build_body,
    parse_piece=parse_piece,
    optional=OPTIONAL,
)

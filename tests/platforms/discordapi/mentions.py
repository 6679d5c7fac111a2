"""This module finds out whom a message mentions and pings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

USER: Final = re.compile(r"<@!?(\d{15,20})>")
ROLE: Final = re.compile(r"<@&(\d{15,20})>")
EVERYONE: Final = re.compile(r"@(?:everyone|here)\b")

NOBODY: Final[Mapping[str, Any]] = {"parse": []}
EVERYBODY: Final[Mapping[str, Any]] = {"parse": ["users", "roles", "everyone"], "replied_user": True}
"""What is allowed where a message says nothing: so people's messages are."""


def mentioned_users(content: str) -> list[int]:
    """Return the people whom a text mentions, each once."""
    return list(dict.fromkeys(int(found[1]) for found in USER.finditer(content)))


def pings(content: str, allowed: Mapping[str, Any], replied_to: int | None = None) -> list[str]:
    """Return who gets a notification: https://discord.com/developers/docs/resources/message#allowed-mentions-object."""
    parse = allowed.get("parse", [])
    users = mentioned_users(content)
    if "users" not in parse:
        users = [user for user in users if str(user) in map(str, allowed.get("users", []))]
    if replied_to is not None and allowed.get("replied_user"):
        users.append(replied_to)
    roles = [found[1] for found in ROLE.finditer(content)]
    if "roles" not in parse:
        roles = [role for role in roles if role in map(str, allowed.get("roles", []))]
    everyone = [found[0] for found in EVERYONE.finditer(content)] if "everyone" in parse else []
    return [*map(str, dict.fromkeys(users)), *roles, *everyone]

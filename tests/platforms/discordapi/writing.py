"""This module reads a bot's message before it is shown, as Discord does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.platforms.discordapi.answers import invalid_form, outside

MOST_CHARACTERS: Final = 2000
"""Of one message, in code points: https://discord.com/developers/docs/resources/message#create-message."""
MOST_NONCE: Final = 25

SUPPRESS_EMBEDS: Final = 1 << 2
EPHEMERAL: Final = 1 << 6
LOADING: Final = 1 << 7
SUPPRESS_NOTIFICATIONS: Final = 1 << 12


def read_content(body: Mapping[str, Any], flags: int = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS) -> str:
    """Return what a message will say, of which blanks at both ends are cut; `flags` may be set. Raises Outside."""
    content = str(body["content"]).strip()
    if not content:
        raise outside(400, "Cannot send an empty message", "an empty message", 50006)
    if len(content) > MOST_CHARACTERS:
        raise invalid_form(("content",), "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_CHARACTERS} or fewer in length.")
    if "allowed_mentions" not in body:
        raise invalid_form(("allowed_mentions",), "BASE_TYPE_REQUIRED", "This field is required: nobody is pinged.")
    allowed = body["allowed_mentions"]
    for kind in ("users", "roles"):
        if allowed.get(kind) and kind in allowed.get("parse", ()):
            words = f"parse:[{kind!r}] and {kind}: [ids...] are mutually exclusive."
            raise invalid_form(("allowed_mentions",), "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE", words)
    if body.get("flags", 0) & ~flags:
        raise outside(400, "Invalid Form Body", f"flags {body['flags']:#x}", 50035)
    nonce = body.get("nonce")
    if isinstance(nonce, str) and len(nonce) > MOST_NONCE:
        raise invalid_form(("nonce",), "NONCE_TYPE_TOO_LONG", f"Must be {MOST_NONCE} or fewer characters long.")
    return content

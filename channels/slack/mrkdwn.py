"""This module turns Slack's mrkdwn into readable words: mentions, links and entities are resolved.

The format is described at https://docs.slack.dev/messaging/formatting-message-text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["mentioned", "read_text"]

_TOKEN = re.compile(r"<([^<>]*)>")
_USER = re.compile(r"<@([UW][A-Z0-9]+)(?:\|[^<>]*)?>")
_ENTITY = re.compile("&(lt|gt|amp);")
_CHARACTERS = {"lt": "<", "gt": ">", "amp": "&"}
_SURROGATES = {code: "\N{REPLACEMENT CHARACTER}" for code in range(0xD800, 0xE000)}


def mentioned(text: str) -> list[str]:
    """Return the ids of the users that a text mentions, in order and each once."""
    return list(dict.fromkeys(_USER.findall(text)))


def read_text(text: str, me: str, names: Mapping[str, str]) -> str:
    """Return the words of a text, with people by their names, or by their ids if the names are not known.

    A mention of the bot at the beginning is left out: that is how people address it.
    """
    own = re.match(rf"\s*<@{re.escape(me)}(?:\|[^<>]*)?>[,:]?\s*", text)
    rest = text[own.end() :] if own else text
    # Outside of tokens and within them, `<` and `>` occur as entities only: those are unescaped last.
    words = _unescape(_TOKEN.sub(lambda found: _read_token(found[1], names), rest))
    return words.translate(_SURROGATES) if not words.isascii() else words


def _unescape(text: str) -> str:
    """Return a text without Slack's escapes."""
    return _ENTITY.sub(lambda found: _CHARACTERS[found[1]], text)


def _read_token(token: str, names: Mapping[str, str]) -> str:
    target, _, label = token.partition("|")
    if target.startswith("@"):
        return f"@{names.get(target[1:]) or label or target[1:]}"
    if target.startswith("#"):
        return f"#{label or target[1:]}"
    if target.startswith("!"):
        return _read_special(target[1:], label)
    address = target.removeprefix("mailto:").removeprefix("tel:")
    if not label or label == address or address.endswith(f"//{label}"):
        return label or address
    return f"{label} ({address})"


def _read_special(target: str, label: str) -> str:
    """Return what Slack shows for a mention of many (`<!here>`, a group) or for a date."""
    if label:
        return label
    return f"@{target.partition('^')[2] or target}"

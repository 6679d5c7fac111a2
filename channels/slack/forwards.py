"""This module reads what a person forwards with a message: it is added below their own words.

A forwarded text cannot address the bot or be a command: it always follows a line that says it is forwarded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from channels.base import RemoteFile
from channels.slack.files import read_files, whole
from channels.slack.writing import escape_text

__all__ = ["read_forwards", "read_shared_files"]


def read_forwards(message: Mapping[str, Any]) -> str:
    """Return the forwarded texts of a message in Slack's mrkdwn; empty if there are none."""
    return "\n".join(filter(None, map(_words, _forwards(message))))


def read_shared_files(message: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return the files of a message, and those that it forwards."""
    return tuple(chain(read_files(message), *map(read_files, _forwards(message))))


def _forwards(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return a message's forwards; if it has words of its own, other attachments are previews of links."""
    attachments = message.get("attachments")
    found = [one for one in attachments if isinstance(one, dict)] if isinstance(attachments, list) else []
    is_wordless = not _word(message, "text").strip()
    return [one for one in found if one.get("is_share") is True or is_wordless]


def _words(forward: Mapping[str, Any]) -> str:
    text = _word(forward, "text") or ("" if forward.get("files") else _word(forward, "fallback"))
    author = " ".join(escape_text(_word(forward, "author_name")).split())
    return f"[Forwarded{f' from {author}' if author else ''}:]\n{text}" if text.strip() else ""


def _word(values: Mapping[str, Any], name: str) -> str:
    found = values.get(name)
    return whole(found) if isinstance(found, str) else ""

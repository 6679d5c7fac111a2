"""What somebody forwards stands beside their words: it is read as a part of them.

It never names the bot, nor is it a command: the words of somebody else only come after a line that says so.
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
    """Return what is forwarded with a message, as Slack writes texts; empty where nothing is."""
    return "\n".join(filter(None, map(_words, _forwards(message))))


def read_shared_files(message: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return the files of a message, and those of what is forwarded with it."""
    return tuple(chain(read_files(message), *map(read_files, _forwards(message))))


def _forwards(message: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """Return what is forwarded; with a message that has words, all else that is attached is a preview of a link."""
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

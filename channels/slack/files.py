"""This module reads the files of a message: as files to fetch, or with a sentence why they cannot be read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from channels.base import RemoteFile

__all__ = ["ASK_FIRST", "MOST_BYTES", "TOO_BIG", "read_file", "read_files", "whole"]

MOST_BYTES = 20 * 1024 * 1024
"""The largest file that is taken, as on other platforms; Slack itself allows a gigabyte."""

TOO_BIG = "I take no files over 20 MB: please send a smaller one."

ASK_FIRST = "ask:"
"""The prefix of a file's `ref` if the message told only its id: Slack must be asked for the rest."""

_SURROGATES = {code: "\N{REPLACEMENT CHARACTER}" for code in range(0xD800, 0xE000)}


def read_files(event: Mapping[str, Any]) -> tuple[RemoteFile, ...]:
    """Return all files of a message; what cannot be read has its reason in `unread`."""
    files = event.get("files")
    if not isinstance(files, list):
        return ()
    return tuple(read_file(file) for file in files if isinstance(file, dict))


def read_file(file: Mapping[str, Any]) -> RemoteFile:
    """Read one file (https://docs.slack.dev/reference/objects/file-object)."""
    name = _word(file, "name") or _word(file, "title") or f"file-{_word(file, 'id') or 'unknown'}"
    media_type = _word(file, "mimetype") or "application/octet-stream"
    size = file.get("size")
    size_bytes = size if isinstance(size, int) and size > 0 else 0
    unread = _unread(file, name, media_type, size_bytes)
    if unread:
        return RemoteFile(name, media_type, size_bytes, "", unread)
    if file.get("file_access") == "check_file_info":
        return RemoteFile(name, media_type, size_bytes, f"{ASK_FIRST}{_word(file, 'id')}")
    ref = _word(file, "url_private_download") or _word(file, "url_private")
    return RemoteFile(name, media_type, size_bytes, ref, "" if ref else f"Slack does not say where {name} is.")


def whole(text: str) -> str:
    """Return a text that can be encoded as UTF-8: lone surrogates become U+FFFD."""
    return text if text.isascii() else text.translate(_SURROGATES)


def _unread(file: Mapping[str, Any], name: str, media_type: str, size_bytes: int) -> str:
    """Return why a file cannot be read; empty if it can."""
    mode, kind = file.get("mode"), media_type.partition("/")[0]
    if mode == "tombstone":
        return f"{name} was deleted before I could read it."
    if mode == "hidden_by_limit":
        return f"Slack hides {name}, since the workspace has too many files: please send it again."
    if mode == "external" or file.get("is_external") is True:
        return f"{name} is kept outside Slack, where I cannot read it: please upload it."
    if kind == "audio":
        return "I cannot listen to audio files yet: please write what matters of it."
    if kind == "video":
        return "I cannot watch videos yet: please write what it shows."
    return TOO_BIG if size_bytes > MOST_BYTES else ""


def _word(file: Mapping[str, Any], name: str) -> str:
    found = file.get(name)
    return whole(found) if isinstance(found, str) else ""

"""Parses the session files of two other agents, ZeroClaw and nanobot: what was said, by whom and when. Pure, by line.

ZeroClaw writes one `{"role", "content"}` a line, without times. nanobot writes a first line `"_type": "metadata"` with
the session's `key` (`channel:chat`), then messages with `role`, `content` (text, or a list of parts) and a `timestamp`
in the local time of its machine; its assistant messages may carry `tool_calls`, and `tool` messages answer those. The
messages of user and assistant are taken; everything else is counted by its kind.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from agentd.transcript.clock import format_time
from agentd.transcript.key import SessionKey
from agentd.transcript.records import AssistantMessage, UserMessage

__all__ = ["ForeignFile", "KeyParts", "derive_key"]

_ATTACHED = {"image_url": "image", "input_image": "image", "input_audio": "audio"}


class _Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Line(msgspec.Struct):
    role: str | None = None
    content: str | list[str | _Part] | None = None
    timestamp: str | None = None
    tool_calls: list[msgspec.Raw] | None = None
    kind: str | None = msgspec.field(name="_type", default=None)
    key: str | None = None


_decoder = msgspec.json.Decoder(_Line)


@dataclass(slots=True)
class ForeignFile:
    """Reads the lines of one file, and counts what it leaves out by kind."""

    users: int = 0
    assistants: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    key_text: str | None = None
    """The session's key as the metadata line gives it."""

    def take(self, line: bytes | None) -> UserMessage | AssistantMessage | None:
        """Return the message of a line, with its time in `ts` if it has one; None if it is no message."""
        if line is not None and not line.strip():
            return None
        try:
            found = _decoder.decode(line) if line is not None else None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            found = None
        if found is None:
            self.left_out["lines that cannot be read"] += 1
            return None
        if found.kind is not None:
            self.key_text = found.key or self.key_text
            self.left_out["metadata lines"] += 1
            return None
        return self._message(found)

    def _message(self, line: _Line) -> UserMessage | AssistantMessage | None:
        if line.role not in ("user", "assistant"):
            known = line.role in ("system", "tool")
            self.left_out[f"{line.role} messages" if known else "messages of another role"] += 1
            return None
        text = _flatten(line.content)
        if not text.strip():
            self.left_out["tool calls without text" if line.tool_calls else f"empty {line.role} messages"] += 1
            return None
        ts = _time(line.timestamp)
        if line.role == "user":
            self.users += 1
            return UserMessage(content=text, ts=ts)
        self.assistants += 1
        return AssistantMessage(content=text, ts=ts)


@dataclass(frozen=True, slots=True)
class KeyParts:
    """The parts of the new session's key that the operator gave."""

    channel: str | None = None
    account: str | None = None
    chat: str | None = None
    sender: str | None = None


def derive_key(name: str, key_text: str | None, given: KeyParts, *, by_sender: bool) -> SessionKey | None:
    """Return the new session's key: what is given, else what the file says; None without a channel and a chat.

    nanobot's key is `channel:chat`; its file's name, and ZeroClaw's, is `channel_chat` or `channel_sender`, with all
    other characters lost. The account is the bot's own id, which neither has: `imported` stands for it. If sessions are
    per sender (`by_sender`), the sender is derived for Telegram alone, where a direct chat has its person's id.
    """
    channel, _, rest = (key_text or re.sub("_", ":", name, count=1)).partition(":")
    channel, chat = given.channel or channel, given.chat or rest
    if not channel or not chat:
        return None
    is_direct = channel == "telegram" and chat.isascii() and chat.isdigit()
    sender = given.sender or (chat if by_sender and is_direct else None)
    return SessionKey(channel, given.account or "imported", chat, None, sender)


def _flatten(content: str | list[str | _Part] | None) -> str:
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(filter(None, map(_part_text, content)))


def _part_text(part: str | _Part) -> str:
    if isinstance(part, str):
        return part
    return part.text or (f"[{_ATTACHED[part.type]}]" if part.type in _ATTACHED else "")


def _time(text: str | None) -> str:
    """Return a time as records write it; one without a zone is taken as this machine's local time."""
    try:
        return format_time(datetime.fromisoformat(text)) if text else ""
    except (ValueError, OverflowError):
        return ""

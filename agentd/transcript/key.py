"""The session key, which identifies one conversation, and the file name that encodes it.

A name keeps `a-z`, `0-9`, `-`, `_` and `.` as they are; an upper-case ASCII letter is `+` and its lower-case form (file
systems may not tell the two apart); every other byte of the UTF-8 text is `%` and two hex digits. The five parts are
joined by `~`; a part that is null is empty, a part that is the empty string is a lone `%`. A leading dot or dash is
escaped too: no file is hidden, and none is taken for an option. A name longer than 200 bytes keeps its first 150 or so
and ends in `%%` and a digest: no encoding contains `%%`.
"""

from __future__ import annotations

import hashlib
import re

import msgspec

__all__ = ["ERASED", "SessionKey", "parse_file_name"]

ERASED = "erased-"
"""Prefix of the id that replaces an erased person's, or their direct chat's, in a key; no platform's ids begin so."""

MAX_NAME_BYTES = 200
"""Most file systems take 255 bytes; the rest is room for suffixes such as `.jsonl.quarantine`."""

_DIGEST_HEX = 40
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_.")
_TOKEN = re.compile(rb"([a-z0-9\-_.])|\+([a-z])|%([0-9a-f]{2})")


class SessionKey(msgspec.Struct, frozen=True):
    """Identifies a conversation by the platform's own ids; a part is None if the platform or the scope has none."""

    channel: str
    account: str
    chat: str
    thread: str | None = None
    sender: str | None = None

    @property
    def is_shared(self) -> bool:
        """Whether everybody in the chat, or thread, shares the session."""
        return self.sender is None

    @property
    def is_erased(self) -> bool:
        """Whether it belonged to a person who was erased."""
        return self.chat.startswith(ERASED) or (self.sender or "").startswith(ERASED)

    @property
    def file_name(self) -> str:
        """The file's name without its suffix: reversible up to 200 bytes, then a readable prefix and a digest."""
        parts = (self.channel, self.account, self.chat, self.thread, self.sender)
        name = "~".join(map(_encode, parts))
        if name[0] in ".-":
            name = f"%{ord(name[0]):02x}{name[1:]}"
        if len(name) <= MAX_NAME_BYTES:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_HEX]
        prefix = name[: MAX_NAME_BYTES - len(digest) - 2].rstrip("%")
        return f"{prefix}%%{digest}"


def parse_file_name(name: str) -> SessionKey | None:
    """Return the key that a name encodes; None for a shortened name, and for one that encodes no key."""
    parts = name.split("~")
    if "%%" in name or len(parts) != 5:
        return None
    try:
        channel, account, chat, thread, sender = map(_decode, parts)
    except ValueError:
        return None
    if channel is None or account is None or chat is None:
        return None
    key = SessionKey(channel, account, chat, thread, sender)
    return key if key.file_name == name else None


def _encode(part: str | None) -> str:
    if part is None:
        return ""
    encoded = part.translate(_OF_ASCII) if part.isascii() else "".join(map(_encode_character, part))
    return encoded or "%"


def _encode_character(character: str) -> str:
    if character in _PLAIN:
        return character
    if "A" <= character <= "Z":
        return "+" + character.lower()
    return "".join(f"%{byte:02x}" for byte in character.encode("utf-8", "surrogatepass"))


_OF_ASCII = {code: _encode_character(chr(code)) for code in range(128)}
"""A table for speed, since nearly all ids are ASCII and each log event names its session."""


def _decode(part: str) -> str | None:
    if part in ("", "%"):
        return "" if part else None
    raw, position = bytearray(), 0
    encoded = part.encode("ascii")
    while position < len(encoded):
        token = _TOKEN.match(encoded, position)
        if token is None:
            raise ValueError(part)
        plain, upper, escaped = token.groups()
        raw += plain or (upper.upper() if upper else bytes.fromhex(escaped.decode()))
        position = token.end()
    return raw.decode("utf-8", "surrogatepass")

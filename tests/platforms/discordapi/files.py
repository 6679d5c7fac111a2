"""This module holds attachments of messages, at addresses that expire after a while.

https://discord.com/developers/docs/reference#signed-attachment-cdn-urls
"""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any, Final

from tests.platforms.discordapi.snowflakes import Snowflakes

LIFE_SECONDS: Final = 86_400
"""How long an address is good for."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Something that a person attaches."""

    filename: str = "notes.txt"
    content: bytes = b"a document"
    content_type: str | None = "text/plain; charset=utf-8"
    width: int | None = None
    height: int | None = None
    """Of a picture, in pixels."""
    claimed_size: int | None = None
    """The size that the message gives, where it is another than the real one."""
    description: str | None = None


PICTURE: Final = Attachment("cat.png", b"\x89PNG\r\n\x1a\n a cat", "image/png", 4, 3)


@dataclass(frozen=True, slots=True)
class Kept:
    """An attachment, as a message holds it."""

    id: int
    channel: int
    attachment: Attachment


class Files:
    """All attachments; their addresses are signed, and a signature can be let expire."""

    def __init__(self, snowflakes: Snowflakes) -> None:
        """Begin with none."""
        self.root = ""
        """What every address begins with."""
        self._snowflakes = snowflakes
        self._kept: dict[int, Kept] = {}
        self._signatures = itertools.count(1)
        self._signature = next(self._signatures)

    def keep(self, channel: int, attachment: Attachment) -> Kept:
        """Keep what was attached to a message."""
        kept = Kept(self._snowflakes.next(), channel, attachment)
        self._kept[kept.id] = kept
        return kept

    def expire(self) -> None:
        """Let every address that was given stop working; messages that are fetched anew have good ones."""
        self._signature = next(self._signatures)

    def find(self, path: str, signature: str) -> Attachment | None:
        """Return what stands at an address, unless nothing does or the address has expired."""
        channel, _, rest = path.partition("/")
        attachment_id, _, filename = rest.partition("/")
        kept = self._kept.get(int(attachment_id)) if attachment_id.isdigit() else None
        if kept is None or signature != f"{self._signature:x}":
            return None
        is_there = (str(kept.channel), kept.attachment.filename) == (channel, filename)
        return kept.attachment if is_there else None

    def as_attachment(self, kept: Kept) -> dict[str, Any]:
        """Return an `Attachment`, with an address that is good for now."""
        given = kept.attachment
        until = int(time.time()) + LIFE_SECONDS
        query = f"ex={until:x}&is={until - LIFE_SECONDS:x}&hm={self._signature:x}"
        url = f"{self.root}/attachments/{kept.channel}/{kept.id}/{given.filename}?{query}&"
        size = len(given.content) if given.claimed_size is None else given.claimed_size
        written = {"id": str(kept.id), "filename": given.filename, "size": size, "url": url, "proxy_url": url}
        optional = {
            "content_type": given.content_type,
            "width": given.width,
            "height": given.height,
            "description": given.description,
        }
        return written | {name: value for name, value in optional.items() if value is not None}

"""Takes in the files of a message (attachments): fetches them from the platform, stores them, and reads text and
images.

This happens before the message is accepted, so that what its record names is on disk. A file that cannot be fetched
does not stop its message: the record says why, and the sender is told if there is nothing else to answer.
"""

from __future__ import annotations

import asyncio
import codecs
import hashlib
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from agentd.context.images import IMAGE_TYPES, is_showable
from agentd.providers.base import Image
from agentd.transcript.enclosures import Enclosures, Kept, TooLarge
from agentd.transcript.key import SessionKey
from agentd.transcript.records import FileAttachment, UserMessage
from channels.base import Channel, InboundMessage, RemoteFile
from channels.errors import FetchFailed, RateLimited, Unreachable

__all__ = ["MOST_EXCERPT_CHARACTERS", "load_images", "parse_excerpt", "take_files"]

log = structlog.get_logger()

FETCH_SECONDS = 60.0
"""Time limit per file, for all attempts together. Later messages of the same chat wait meanwhile; other chats do not.
"""

TRIES = 3
PAUSE_SECONDS = 1.0

MOST_EXCERPT_CHARACTERS = 16_000
"""How much of a text file goes into a prompt: about 4,000 tokens of English."""

MOST_IMAGES = 10
MOST_IMAGES_BYTES = 12 * 1024 * 1024
"""Limits of all images in one request: each is in memory several times while it is sent."""


MOST_FILES = 50
"""Per message: more than any platform lets a person send with one."""

MOST_NAME_CHARACTERS = 255
"""Longest file name on record: what file systems take."""

TOO_MANY = "{name} than I can take with one message: send them with another."
TOO_LARGE = "{name} is larger than I can take."
OUT_OF_REACH = "{name} could not be fetched: send it again."

_CONTROLS = frozenset(map(chr, range(32))) - set("\t\n\r\f\v\x1b\x08")


async def take_files(
    inbound: InboundMessage, key: SessionKey, channel: Channel, enclosures: Enclosures
) -> tuple[FileAttachment, ...]:
    """Fetch a message's files to disk and return what its record says of them. Raises StorageError."""
    taken = []
    for number, file in enumerate(map(_named, inbound.files[:MOST_FILES])):
        stem = hashlib.sha256(f"{inbound.address.chat}/{inbound.message_id}/{number}".encode()).hexdigest()[:16]
        taken.append(await _take(file, key, stem, channel, enclosures))
    if more := len(inbound.files) - len(taken):
        name = f"{more} more files"
        taken.append(FileAttachment(name=name, media_type="", size_bytes=0, unread=TOO_MANY.format(name=name)))
    return tuple(taken)


def _named(file: RemoteFile) -> RemoteFile:
    return file if len(file.name) <= MOST_NAME_CHARACTERS else replace(file, name=file.name[:MOST_NAME_CHARACTERS])


async def _take(
    file: RemoteFile, key: SessionKey, stem: str, channel: Channel, enclosures: Enclosures
) -> FileAttachment:
    if file.unread:
        return _unread(file, file.unread)
    try:
        kept = await _fetch(file, key, stem, channel, enclosures)
    except FetchFailed as fault:
        return _unread(file, str(fault))
    except TooLarge:
        return _unread(file, TOO_LARGE.format(name=file.name))
    except (Unreachable, TimeoutError) as fault:
        log.warning("file_not_fetched", session=key.file_name, fault=str(fault) or "it took too long")
        return _unread(file, OUT_OF_REACH.format(name=file.name))
    excerpt = "" if file.media_type in IMAGE_TYPES else parse_excerpt(kept.head)
    return FileAttachment(
        name=file.name, media_type=file.media_type, size_bytes=kept.size_bytes, path=kept.path, excerpt=excerpt
    )


async def _fetch(file: RemoteFile, key: SessionKey, stem: str, channel: Channel, enclosures: Enclosures) -> Kept:
    async with asyncio.timeout(FETCH_SECONDS):
        for tries_left in reversed(range(TRIES)):
            try:
                async with aclosing(channel.fetch(file)) as blocks:
                    return await enclosures.keep(key, stem, file.name, blocks)
            except Unreachable as fault:
                if not tries_left:
                    raise
                pause_seconds = fault.retry_after_seconds if isinstance(fault, RateLimited) else 0.0
            await asyncio.sleep(max(pause_seconds, PAUSE_SECONDS))
    raise TimeoutError


def _unread(file: RemoteFile, why: str) -> FileAttachment:
    return FileAttachment(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, unread=why)


def parse_excerpt(head: bytes) -> str:
    """Return the beginning of a file as text; "" if it is not UTF-8 text, whatever its name says."""
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return ""
    if not _CONTROLS.isdisjoint(text):
        return ""
    return text[:MOST_EXCERPT_CHARACTERS]


async def load_images(messages: Sequence[UserMessage], key: SessionKey, enclosures: Enclosures) -> tuple[Image, ...]:
    """Read the images of these messages that a model can be shown; if there are too many, the newest."""
    files = [file for message in messages for file in message.attachments if is_showable(file)]
    found: list[Image] = []
    room_bytes = MOST_IMAGES_BYTES
    for file in reversed(files[-MOST_IMAGES:]):
        room_bytes -= file.size_bytes
        content = await enclosures.read(key, file.path) if room_bytes >= 0 else None
        if content is not None:
            found.insert(0, Image(file.media_type, content))
    return tuple(found)

"""This module reads photos, documents and other media of a message: as files to fetch, or with a sentence why not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from telegram import Document, Message, PhotoSize

from channels.base import RemoteFile

__all__ = ["MOST_BYTES", "TOO_BIG", "read_files", "whole"]

MOST_BYTES = 20 * 1024 * 1024
"""The largest file that a bot may download (Bot API, getFile: 20 MB, which its server counts in MiB)."""

TOO_BIG = "Telegram gives bots no files over 20 MB: please send a smaller one."

_SURROGATES = {code: "\N{REPLACEMENT CHARACTER}" for code in range(0xD800, 0xE000)}


def read_files(message: Message) -> tuple[RemoteFile, ...]:
    """Return the file of a message; what cannot be read has its reason in `unread`, an unknown kind is left out."""
    for kind, say in _UNREAD.items():
        thing = getattr(message, kind)
        if thing is not None and thing != ():
            return (_unread(kind, thing, say(thing)),)
    if message.photo:
        return (_photo(message.photo),)
    return (_document(message.document),) if message.document else ()


def whole(text: str) -> str:
    """Return a text that can be encoded as UTF-8: lone surrogates become U+FFFD."""
    return text if text.isascii() else text.translate(_SURROGATES)


def _photo(sizes: tuple[PhotoSize, ...]) -> RemoteFile:
    """Return a photo in the largest of Telegram's sizes that a bot may download."""
    smallest_first = sorted(sizes, key=lambda size: size.width * size.height)
    within = [size for size in smallest_first if (size.file_size or 0) <= MOST_BYTES]
    size = within[-1] if within else smallest_first[-1]
    name = f"photo-{whole(size.file_unique_id)}.jpg"
    ref, unread = (size.file_id, "") if within else ("", TOO_BIG)
    return RemoteFile(name, "image/jpeg", size.file_size or 0, ref, unread)


def _document(document: Document) -> RemoteFile:
    name = whole(document.file_name or f"file-{document.file_unique_id}")
    media_type = whole(document.mime_type or "application/octet-stream")
    size_bytes = document.file_size or 0
    if size_bytes > MOST_BYTES:
        return RemoteFile(name, media_type, size_bytes, "", TOO_BIG)
    return RemoteFile(name, media_type, size_bytes, document.file_id)


def _unread(kind: str, thing: Any, sentence: str) -> RemoteFile:
    media_type = getattr(thing, "mime_type", None) or ""
    size_bytes = getattr(thing, "file_size", None) or 0
    return RemoteFile(kind.replace("_", " "), whole(media_type), size_bytes, "", whole(sentence))


def _says(sentence: str) -> Callable[[Any], str]:
    return lambda _thing: sentence


def _sticker(sticker: Any) -> str:
    shown = f" (this one stands for {sticker.emoji})" if sticker.emoji else ""
    return f"I cannot see stickers{shown}: please write."


# The first kind that is there decides: an animation comes as a document too, a venue as a location too.
_UNREAD: Mapping[str, Callable[[Any], str]] = {
    "voice": _says("I cannot listen to voice messages yet: please write."),
    "audio": _says("I cannot listen to audio files yet: please write what matters of it."),
    "animation": _says("I cannot watch animations yet: please write what it shows."),
    "video": _says("I cannot watch videos yet: please write what it shows."),
    "video_note": _says("I cannot watch video messages yet: please write."),
    "sticker": _sticker,
    "venue": _says("I cannot read venues yet: please write its name and address."),
    "location": _says("I cannot read locations yet: please write where it is."),
    "contact": _says("I cannot read contact cards yet: please write what matters of it."),
    "poll": _says("I cannot read polls yet: please write what it asks."),
    "dice": lambda dice: f"I cannot play with {dice.emoji}: please write.",
    "game": _says("I cannot play games: please write."),
    "story": _says("I cannot see stories: please write what it shows."),
    "checklist": _says("I cannot read checklists yet: please write what stands in it."),
    "paid_media": _says("I cannot see paid media: please write what it shows."),
    "invoice": _says("I cannot read invoices: please write what matters of it."),
}

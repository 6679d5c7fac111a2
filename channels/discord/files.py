"""This module reads a message's attachments, stickers and polls: as files to fetch, or with a sentence why not."""

from __future__ import annotations

import discord

from channels.base import RemoteFile
from channels.discord.texts import whole

__all__ = ["MOST_BYTES", "TOO_BIG", "read_files"]

MOST_BYTES = 20 * 1024 * 1024
"""The largest file that is taken. Discord itself takes 10 MB from most people, and up to 500 MB from those who pay."""

TOO_BIG = "I take no files over 20 MB: please send a smaller one."

_KINDS = {
    "audio": "I cannot listen to audio files yet: please write what matters of it.",
    "video": "I cannot watch videos yet: please write what it shows.",
}
_VOICE = "I cannot listen to voice messages yet: please write."


def read_files(message: discord.Message) -> tuple[RemoteFile, ...]:
    """Return all files of a message and of what it forwards; what cannot be read has its reason in `unread`."""
    files = [_attachment(attachment) for attachment in message.attachments]
    stickers = list(message.stickers)
    for snapshot in message.message_snapshots:
        files += [_attachment(attachment) for attachment in snapshot.attachments]
        stickers += snapshot.stickers
    files += [_unread("sticker", f"I cannot see stickers (this one is {sticker.name}).") for sticker in stickers]
    if message.poll is not None:
        files.append(_unread("poll", "I cannot read polls yet: please write what it asks."))
    return tuple(files)


def _attachment(attachment: discord.Attachment) -> RemoteFile:
    name = whole(attachment.filename) or f"file-{attachment.id}"
    media_type = whole(attachment.content_type or "application/octet-stream").partition(";")[0].strip()
    unread = _VOICE if attachment.is_voice_message() else _KINDS.get(media_type.partition("/")[0], "")
    if not unread and attachment.size > MOST_BYTES:
        unread = TOO_BIG
    return RemoteFile(name, media_type, attachment.size, "" if unread else attachment.url, unread)


def _unread(kind: str, sentence: str) -> RemoteFile:
    return RemoteFile(kind, "", 0, "", whole(sentence))

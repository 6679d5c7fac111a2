"""This module holds media that people send, and the files behind them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tests.platforms.botapi.answers import bad_request

MOST_DOWNLOAD_BYTES: Final = 20 * 1024 * 1024
"""Of a file that a bot can download (https://core.telegram.org/bots/api#getfile)."""


@dataclass(frozen=True, slots=True)
class File:
    """A file on the server; its `size` may be more than its bytes, so that a test needs none of a large one."""

    file_id: str
    path: str
    content: bytes
    size: int

    def as_file(self) -> dict[str, Any]:
        """Return what every description of a file begins with."""
        unique = f"unique-{self.file_id}"
        return {"file_id": self.file_id, "file_unique_id": unique, "file_size": self.size}


class Files:
    """All files."""

    def __init__(self) -> None:
        """Have none yet."""
        self.by_id: dict[str, File] = {}
        self._numbers = itertools.count(1)

    def add(self, folder: str, ending: str, content: bytes, size: int | None = None) -> File:
        """Keep a file."""
        number = next(self._numbers)
        file = File(f"AgAD-file-{number}", f"{folder}/file_{number}{ending}", content, size or len(content))
        self.by_id[file.file_id] = file
        return file

    def find(self, file_id: str) -> File:
        """Return a file that a bot may download; raises Refused."""
        if not file_id:
            raise bad_request("file_id not specified")
        if file_id not in self.by_id:
            raise bad_request("invalid file_id")
        if self.by_id[file_id].size > MOST_DOWNLOAD_BYTES:
            raise bad_request("file is too big")
        return self.by_id[file_id]

    def at(self, path: str) -> File | None:
        """Return the file with this path."""
        return next((file for file in self.by_id.values() if file.path == path), None)


@dataclass(frozen=True, slots=True)
class Photo:
    """A picture, which Telegram keeps in several sizes; the last one is as it was sent."""

    content: bytes = b"\xff\xd8 a picture"
    width: int = 1280
    height: int = 960

    def keep(self, files: Files) -> dict[str, Any]:
        """Return the part of a message that tells of it."""
        sizes = []
        for name, part in (("small", 8), ("medium", 4), ("large", 1)):
            content = self.content if part == 1 else self.content + b" " + name.encode()
            file = files.add("photos", ".jpg", content)
            sizes.append({**file.as_file(), "width": self.width // part, "height": self.height // part})
        return {"photo": sizes}


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it is; `size` if it is to look larger than its bytes. A name or type may be missing."""

    content: bytes = b"a document"
    name: str | None = "notes.txt"
    mime_type: str | None = "text/plain"
    size: int | None = None

    def keep(self, files: Files) -> dict[str, Any]:
        """Return the part of a message that tells of it."""
        ending = f".{self.name.rpartition('.')[2]}" if self.name and "." in self.name else ""
        file = files.add("documents", ending, self.content, self.size)
        names = {"file_name": self.name, "mime_type": self.mime_type}
        return {"document": {**file.as_file(), **{name: value for name, value in names.items() if value is not None}}}


SOUNDS: Final[Mapping[str, tuple[str, str, dict[str, Any]]]] = {
    "voice": ("voice", ".oga", {"mime_type": "audio/ogg"}),
    "video_note": ("video_notes", ".mp4", {"length": 240}),
    "video": ("videos", ".mp4", {"width": 640, "height": 480, "mime_type": "video/mp4"}),
    "audio": ("music", ".mp3", {"mime_type": "audio/mpeg", "title": "A song"}),
}
"""The folder, the ending, and what else is told of each."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Something spoken or played: a voice message, a video note, a video or music."""

    kind: str = "voice"
    """One of `SOUNDS`."""
    content: bytes = b"OggS a voice"
    seconds: int = 3

    def keep(self, files: Files) -> dict[str, Any]:
        """Return the part of a message that tells of it."""
        folder, ending, more = SOUNDS[self.kind]
        file = files.add(folder, ending, self.content)
        return {self.kind: {**file.as_file(), "duration": self.seconds, **more}}


@dataclass(frozen=True, slots=True)
class Sticker:
    """A sticker."""

    emoji: str = "👍"

    def keep(self, files: Files) -> dict[str, Any]:
        """Return the part of a message that tells of it."""
        file = files.add("stickers", ".webp", b"RIFF a sticker")
        kind = {"type": "regular", "width": 512, "height": 512, "is_animated": False, "is_video": False}
        return {"sticker": {**file.as_file(), **kind, "emoji": self.emoji}}


@dataclass(frozen=True, slots=True)
class Location:
    """A place."""

    latitude: float = 52.5
    longitude: float = 13.4

    def keep(self, files: Files) -> dict[str, Any]:
        """Return the part of a message that tells of it."""
        del files  # there is none
        return {"location": {"latitude": self.latitude, "longitude": self.longitude}}


Media = Photo | Document | Sound | Sticker | Location

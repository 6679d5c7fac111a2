"""This module holds files that people send, writes them as the API does, and serves their bytes."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import Any

from tests.platforms.slackapi.answers import Refused
from tests.platforms.slackapi.workspace import TEAM

LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in</body></html>"
"""What a file's address shows, with status 200, to who has no right to it."""


@dataclass(frozen=True, slots=True)
class File:
    """Something that a person sends."""

    name: str = "notes.txt"
    content: bytes = b"a document"
    mimetype: str = "text/plain"
    size: int | None = None
    """What the API says; None: as many bytes as there are."""
    is_hidden: bool = False
    """Whether the message does not tell of it more than its id, as in channels shared with others."""


class Files:
    """All that were sent."""

    def __init__(self) -> None:
        """Begin with none; `base_url` becomes known when the server listens."""
        self.base_url = ""
        self._files: dict[str, tuple[File, str, int]] = {}
        self._numbers = itertools.count(1)

    def keep(self, file: File, user: str) -> dict[str, Any]:
        """Take a file in, and return it as a message shows it."""
        file_id = f"F{next(self._numbers):010}"
        self._files[file_id] = (file, user, int(time.time()))
        return self.as_file(file_id, is_whole=not file.is_hidden)

    def remove(self, file_id: str) -> None:
        """Let its owner delete a file."""
        del self._files[file_id]

    def as_file(self, file_id: str, *, is_whole: bool = True) -> dict[str, Any]:
        """Return a file (https://docs.slack.dev/reference/objects/file-object); raises Refused."""
        if file_id not in self._files:
            raise Refused("file_not_found")
        if not is_whole:
            return {"id": file_id, "mode": "file_access", "file_access": "check_file_info"}
        file, user, created = self._files[file_id]
        ending = file.name.rpartition(".")[2]
        address = f"{self.base_url}/files-pri/{TEAM}-{file_id}"
        return {
            "id": file_id,
            "created": created,
            "timestamp": created,
            "name": file.name,
            "title": file.name,
            "mimetype": file.mimetype,
            "filetype": ending,
            "pretty_type": ending.upper(),
            "user": user,
            "user_team": TEAM,
            "editable": False,
            "size": len(file.content) if file.size is None else file.size,
            "mode": "hosted",
            "is_external": False,
            "external_type": "",
            "is_public": False,
            "public_url_shared": False,
            "display_as_bot": False,
            "username": "",
            "url_private": f"{address}/{file.name}",
            "url_private_download": f"{address}/download/{file.name}",
            "file_access": "visible",
        }

    def content(self, file_id: str) -> File | None:
        """Return a file that is there."""
        found = self._files.get(file_id)
        return found[0] if found else None

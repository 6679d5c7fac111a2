"""This module remembers gateway sessions of a bot that may resume them."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping
from typing import Any, Final, Protocol

MOST_KEPT: Final = 2000
"""Events that a session keeps for a bot that comes back; one that has missed more starts anew."""


class Line(Protocol):
    """A connection that takes frames."""

    def send(self, frame: str) -> None:
        """Send a frame, after those before it."""


class Session:
    """One session: its events are numbered, and kept to be told again."""

    def __init__(self, session_id: str, intents: int) -> None:
        """Begin with no event."""
        self.id = session_id
        self.intents = intents
        self.seq = 0
        self.line: Line | None = None
        """The connection that events go to; None while there is none."""
        self.lost_at = 0.0
        """When the last connection ended."""
        self._kept: deque[tuple[int, str]] = deque(maxlen=MOST_KEPT)

    def tell(self, kind: str, content: object) -> None:
        """Number an event, keep it, and send it where somebody listens."""
        self.tell_raw({"op": 0, "t": kind, "d": content})

    def tell_raw(self, payload: Mapping[str, Any]) -> None:
        """Do so with a payload just as it is, but for its number."""
        self.seq += 1
        frame = json.dumps({**payload, "s": self.seq})
        self._kept.append((self.seq, frame))
        if self.line is not None:
            self.line.send(frame)

    def can_tell_again(self, seq: int) -> bool:
        """Tell whether every event after this one is still kept."""
        return not self._kept or self._kept[0][0] <= seq + 1

    def missed(self, seq: int) -> list[str]:
        """Return the frames after this one."""
        return [frame for number, frame in self._kept if number > seq]

"""How long the channel waits for Telegram, and between two tries."""

from __future__ import annotations

from dataclasses import dataclass

from channels.backoff import Growing

__all__ = ["WAITS", "Growing", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """Every pause and limit of the channel; the daemon uses the defaults."""

    poll_seconds: int = 30
    """How long Telegram holds a poll that finds nothing (Bot API, getUpdates: `timeout`)."""
    grace_seconds: float = 15
    """How much longer than that a poll may take, until its connection is given up."""
    connect_seconds: float = 10
    call_seconds: float = 30
    """The limit of any other call, its connection included."""
    idle_seconds: float = 30
    """How long a connection is kept that nobody uses: what a person writes next finds it open. httpx's default is 5."""
    file_seconds: float = 120
    """The limit of one file."""
    network: Growing = Growing(1, 60)
    """While Telegram cannot be reached."""
    conflict: Growing = Growing(5, 30)
    """While another program polls."""
    token: Growing = Growing(60, 60)
    """While Telegram refuses the token that it took before."""
    empty: Growing = Growing(0.25, 5)
    """Between polls that bring nothing although they return at once."""
    busy: Growing = Growing(0.5, 5)
    """Between polls while something that came in is not on disk yet: Telegram answers these at once."""
    stuck: Growing = Growing(0.5, 60)
    """The same, while the disk refuses all of it."""
    refused: Growing = Growing(1, 60)
    """Until what was not accepted is offered again."""

    @property
    def patience_seconds(self) -> float:
        """Within this time a poll, or any other call, has an outcome: one poll may be given up without."""
        poll_seconds = self.poll_seconds + self.grace_seconds
        return poll_seconds + self.network.after(0) + max(poll_seconds, self.call_seconds)


WAITS = Waits()

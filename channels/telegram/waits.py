"""This module holds the timeouts and retry pauses of the Telegram channel."""

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
    """How much longer than that a poll may take before its connection is given up."""
    connect_seconds: float = 10
    call_seconds: float = 30
    """The timeout of any other call, its connection included."""
    idle_seconds: float = 30
    """How long an idle connection is kept, so that the next reply finds it open; httpx's default is 5."""
    file_seconds: float = 120
    """The timeout for one file."""
    network: Growing = Growing(1, 60)
    """The pauses while Telegram cannot be reached."""
    conflict: Growing = Growing(5, 30)
    """The pauses while another program polls with the same token (409)."""
    token: Growing = Growing(60, 60)
    """The pause while Telegram refuses the token that it took before."""
    empty: Growing = Growing(0.25, 5)
    """The pauses between polls that return at once with nothing."""
    busy: Growing = Growing(0.5, 5)
    """The pauses between polls while something that came in is not on disk yet: Telegram answers these at once."""
    stuck: Growing = Growing(0.5, 60)
    """The same, while nothing that comes in can be kept (a full disk)."""
    refused: Growing = Growing(1, 60)
    """The pauses until what was not accepted is offered again."""

    @property
    def patience_seconds(self) -> float:
        """The longest time until a poll or another call has an outcome, if one poll before it was given up without."""
        poll_seconds = self.poll_seconds + self.grace_seconds
        return poll_seconds + self.network.after(0) + max(poll_seconds, self.call_seconds)


WAITS = Waits()

"""This module holds the timeouts, retry pauses and queue limits of the Slack channel."""

from __future__ import annotations

from dataclasses import dataclass

from channels.backoff import Growing

__all__ = ["WAITS", "Growing", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """Every pause and limit of the channel; the daemon uses the defaults."""

    connect_seconds: float = 10
    """The timeout for a connection, and for the hello on a new one."""
    call_seconds: float = 30
    """The timeout of any Web API call, its connection included."""
    file_seconds: float = 120
    """The timeout for one file."""
    ack_seconds: float = 3
    """How long Slack waits for an ack (https://docs.slack.dev/apis/events-api/using-socket-mode#acknowledge)."""
    ping_seconds: float = 20
    """How often a connection is pinged; it is given up after 1.5 times as long without a sign of life."""
    linger_seconds: float = 15
    """How long an old connection is used beside the next: Slack closes it after about ten seconds."""
    steady_seconds: float = 60
    """A connection that held this long was a good one: the next is tried without a pause."""
    network: Growing = Growing(1, 60)
    """The pauses while Slack cannot be reached."""
    limited: Growing = Growing(1, 60)
    """The pauses after a 429 that does not say how long to wait."""
    token: Growing = Growing(60, 300)
    """The pauses while Slack refuses a token that it took before, or Socket Mode is off."""
    refused: Growing = Growing(1, 60)
    """The pauses until what was not accepted is offered again."""
    places: Growing = Growing(1, 60)
    """The pauses until the known places are asked for again."""
    scan_seconds: float = 1
    """The pause between two reads of the known places: each goes through all sessions."""
    name_seconds: float = 1
    """How long a message waits for the names of its people."""
    most_waiting: int = 2_000
    """How much may wait to be taken in; what comes beyond that is not acked, so that Slack redelivers it."""
    most_in_place: int = 200
    """The same for one place, so that no place alone takes all the room."""

    @property
    def patience_seconds(self) -> float:
        """The longest time until a connection shows a sign of life, or another is made or refused."""
        return 1.5 * self.ping_seconds + 2 * self.connect_seconds + 2 * self.call_seconds


WAITS = Waits()

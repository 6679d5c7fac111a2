"""How long the channel waits for Slack, and between two tries."""

from __future__ import annotations

from dataclasses import dataclass

from channels.backoff import Growing

__all__ = ["WAITS", "Growing", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """Every pause and limit of the channel; the daemon uses the defaults."""

    connect_seconds: float = 10
    """The limit of a connection, and of the greeting on a new one."""
    call_seconds: float = 30
    """The limit of any call, its connection included."""
    file_seconds: float = 120
    """The limit of one file."""
    ack_seconds: float = 3
    """How long Slack waits for an ack (https://docs.slack.dev/apis/events-api/using-socket-mode#acknowledge)."""
    ping_seconds: float = 20
    """How often a connection is asked for a sign of life; half of that again without one, and it is given up."""
    linger_seconds: float = 15
    """How long a connection that Slack wants to end is used beside the next: it is closed by Slack after about ten."""
    steady_seconds: float = 60
    """A connection that lived so long was a good one: the next is tried at once."""
    network: Growing = Growing(1, 60)
    """While Slack cannot be reached."""
    limited: Growing = Growing(1, 60)
    """While Slack wants to be left alone, and does not say how long."""
    token: Growing = Growing(60, 300)
    """While Slack refuses a token that it took before, or Socket Mode is off."""
    refused: Growing = Growing(1, 60)
    """Until what was not accepted is offered again."""
    places: Growing = Growing(1, 60)
    """Until it is asked again where people are known from."""
    scan_seconds: float = 1
    """Between two looks at which threads are known: a look goes through all sessions."""
    name_seconds: float = 1
    """How long a message waits for the names of its people."""
    most_waiting: int = 2_000
    """What waits to be taken in; what comes beyond that is not acked, so that Slack delivers it again."""
    most_in_place: int = 200
    """The same of one place, so that one alone leaves room for the others."""

    @property
    def patience_seconds(self) -> float:
        """Within this time the connection shows a sign of life, or another is made or refused."""
        return 1.5 * self.ping_seconds + 2 * self.connect_seconds + 2 * self.call_seconds


WAITS = Waits()

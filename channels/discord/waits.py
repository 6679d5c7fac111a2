"""This module holds the timeouts and retry pauses of the Discord channel."""

from __future__ import annotations

from dataclasses import dataclass

from channels.backoff import Growing

__all__ = ["WAITS", "Growing", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """Every pause and limit of the channel; the daemon uses the defaults."""

    call_seconds: float = 30
    """The timeout of any REST call, its connection included."""
    connect_seconds: float = 30
    """The timeout for a connection to the gateway, until its hello has come."""
    silent_seconds: float = 60
    """How long the gateway may be silent before its connection is given up: it answers a heartbeat every 41 s."""
    greeting_seconds: float = 5
    """What comes within this time after a session begins counts as its greeting: the servers, and resumed events."""
    close_seconds: float = 2
    guild_seconds: float = 10
    """How long missed messages of a server wait until the server's roles are known, of which one is the bot's own."""
    file_seconds: float = 50
    """The timeout for one file."""
    slot_seconds: float = 10
    """How long a channel that catches up keeps its slot; after that it goes on beside the next."""
    steady_seconds: float = 60
    """A connection that held this long was a good one: the next is made without a pause."""
    network: Growing = Growing(1, 60)
    """The pauses while Discord cannot be reached."""
    identify: Growing = Growing(5, 120)
    """The pauses before another session is begun: one in 5 s, and no more than 1,000 a day, or Discord resets the token
    (https://docs.discord.com/developers/events/gateway#rate-limiting)."""
    refused: Growing = Growing(1, 60)
    """The pauses until what was not accepted is offered again."""
    switched_off: Growing = Growing(600, 600)
    """The pause while Discord refuses what it took before: the token, or an intent."""
    defer_seconds: float = 1.5
    """How long a command waits for its answer before that is deferred: after 3 s Discord reports a failure
    (https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response)."""
    answer_seconds: float = 840
    """How long a deferred answer may take: Discord allows 15 minutes."""

    @property
    def patience_seconds(self) -> float:
        """The longest time until the gateway says something, or a connection is made or refused."""
        return self.silent_seconds + self.connect_seconds + self.call_seconds


WAITS = Waits()

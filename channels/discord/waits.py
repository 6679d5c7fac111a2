"""How long the channel waits for Discord, and between two tries."""

from __future__ import annotations

from dataclasses import dataclass

from channels.backoff import Growing

__all__ = ["WAITS", "Growing", "Waits"]


@dataclass(frozen=True, slots=True)
class Waits:
    """Every pause and limit of the channel; the daemon uses the defaults."""

    call_seconds: float = 30
    """The limit of any call, its connection included."""
    connect_seconds: float = 30
    """The limit for a connection to the gateway, until it has said hello."""
    silent_seconds: float = 60
    """A gateway that says nothing for longer is given up: it answers a heartbeat every 41 s."""
    greeting_seconds: float = 5
    """What comes within this time of a session's beginning comes with it: its servers, and what was missed."""
    close_seconds: float = 2
    guild_seconds: float = 10
    """How long what was said in a server waits until it is known which role is the bot's own."""
    file_seconds: float = 50
    """The limit of one file."""
    slot_seconds: float = 10
    """How long a place that is caught up lets others wait for their turn; it goes on beside them then."""
    steady_seconds: float = 60
    """A connection that held this long was a good one: the next is made at once."""
    network: Growing = Growing(1, 60)
    """While Discord cannot be reached."""
    identify: Growing = Growing(5, 120)
    """Before another session is begun: one in 5 s, and no more than 1,000 a day, or Discord takes the token back
    (https://docs.discord.com/developers/events/gateway#rate-limiting)."""
    refused: Growing = Growing(1, 60)
    """Until what was not accepted is offered again."""
    switched_off: Growing = Growing(600, 600)
    """While Discord refuses what it took before: its token, or an intent."""
    defer_seconds: float = 1.5
    """How long a command is left without an answer: after 3 s Discord says that there was none
    (https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-response)."""
    answer_seconds: float = 840
    """How long a command can be answered after that: Discord says 15 minutes."""

    @property
    def patience_seconds(self) -> float:
        """Within this time the gateway says something, or a connection is made or refused."""
        return self.silent_seconds + self.connect_seconds + self.call_seconds


WAITS = Waits()

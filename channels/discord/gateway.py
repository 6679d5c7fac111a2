"""This module keeps the bot connected to Discord's gateway: it reconnects, and resumes the last session if it can.

discord.py's own loop waits up to 17 minutes between two tries, does not wait at all when Discord ends connections as
soon as they are made, and stops at the first payload that it cannot read. So its `DiscordWebSocket` is driven here. A
payload that cannot be read ends the session: what it may have held is fetched like anything else that was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import discord
import structlog
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket

from channels.discord.calls import ServerFault, TooMany
from channels.discord.connection import Client
from channels.discord.faults import UNREADABLE
from channels.discord.waits import Waits
from channels.health import Health

__all__ = ["Fatal", "Gateway"]

log = structlog.get_logger()

_INTENTS, _TOKEN = 4014, 4004
_FATAL = {
    _TOKEN: "channels_config.discord.token: Discord does not know this token (4004): copy it again: the application at "
    "https://discord.com/developers/applications, Bot, Reset Token",
    4010: "channels_config.discord: Discord refuses the shard (4010): this version runs one connection and no shards",
    4011: "channels_config.discord: the bot is in more servers than one connection may serve (4011): take it out of "
    "some, since this version has no shards",
    4012: "channels_config.discord: Discord has given up the version of its gateway that this version speaks (4012): "
    "update agentd",
    4013: "channels_config.discord: Discord does not know the intents that this version asks for (4013): update agentd",
    _INTENTS: "channels_config.discord: Discord does not show this bot what is written in servers (4014): switch on "
    "Message Content Intent (the application at https://discord.com/developers/applications, Bot, Privileged Gateway "
    'Intents), or set channels_config.discord.guilds = "off"',
}
"""Close codes after which no connection is possible until the operator changes something
(https://docs.discord.com/developers/topics/opcodes-and-status-codes)."""

_VOID = (4003, 4007, 4009)
"""Close codes after which a new session is needed: resuming the old one would fail in the same way each time."""

_BROKEN = (aiohttp.ClientError, OSError, TooMany, ServerFault)
"""What breaks a connection; a timeout is an OSError."""


class Fatal(Exception):
    """Discord ends every connection until the operator changes something, which the text names."""


class _Stalled(Exception):
    """The gateway has fallen silent, or it begins no session."""


@dataclass(slots=True)
class _Session:
    """What the next connection needs in order to resume."""

    id: str
    sequence: int
    gateway: yarl.URL | None
    """The address to resume at; None: the address where every session begins."""


class Gateway:
    """Keeps a bot connected to the gateway, and notes in `health` how that goes."""

    def __init__(self, client: Client, health: Health, waits: Waits, *, is_own: bool) -> None:
        """Note signs of life in `health`; `is_own`: the gateway's address is configured, and always used."""
        self._client = client
        self._health = health
        self._monotonic = health.monotonic
        self._waits = waits
        self._is_own = is_own
        self.standing: Callable[[], str] = lambda: ""
        """Returns what is wrong although the gateway is connected; empty: nothing."""
        self._session: _Session | None = None
        self._tries = 0
        self._begun = 0
        """How many sessions were begun since the last connection that held (`steady_seconds`)."""
        self.is_welcome = False
        """Whether Discord has ever begun a session for the bot."""
        self._is_in = False
        """Whether a session was begun or resumed on this connection."""
        self._heard_from = 0.0
        """The time from which on payloads no longer count as a part of the greeting."""
        self._is_well = False
        """Whether this connection has shown that Discord is there."""
        self._is_silent = True
        """Whether the last connection ended because Discord fell silent; true before the first one."""

    def welcome(self) -> None:
        """Note that a session was begun or resumed."""
        self.is_welcome = self._is_in = True
        self._heard_from = self._monotonic() + self._waits.greeting_seconds
        self._is_well = self._health.greet()
        log.info("discord_connected", resumed=self._session is not None)

    async def run(self) -> None:
        """Stay connected until cancelled. Raises Fatal."""
        while True:
            await self._pause()
            began = self._monotonic()
            try:
                await self._attend()
            finally:
                held_seconds = self._monotonic() - began
                if held_seconds >= self._waits.steady_seconds:
                    self._tries, self._begun = 0, min(self._begun, 1)
                self._tries += 1

    async def _pause(self) -> None:
        """Wait before the next connection: not at all after one that held, and longer with each that failed."""
        seconds = self._waits.network.after(self._tries - 2) if self._tries > 1 else 0.0
        if self._session is None and self._begun:
            seconds = max(seconds, self._waits.identify.after(self._begun - 1))
        if not self._is_silent:
            self._health.tried(seconds)
        if seconds:
            log.info("discord_reconnecting", seconds=seconds, resumes=self._session is not None)
        await asyncio.sleep(seconds)

    async def _attend(self) -> None:
        """Make one connection, and read payloads until it ends."""
        ws: DiscordWebSocket | None = None
        self._is_in = False
        try:
            ws = self._client.ws = await self._connect()
            until = self._monotonic() + self._waits.silent_seconds
            while True:
                await self._poll(ws, until)
        except (ReconnectWebSocket, discord.ConnectionClosed, _Stalled, *_BROKEN) as ending:
            self._is_silent = isinstance(ending, _Stalled)
            self._keep(ws, ending)
            self._judge(ending)
        except UNREADABLE as fault:
            self._is_silent = False
            self._session = None
            self._health.counts["unparsable"] += 1
            self._fail(f"Discord's gateway sent what cannot be read ({type(fault).__name__})")
        finally:
            if ws is not None:
                _still(ws)
        if ws is not None:
            await self._close(ws)

    async def _connect(self) -> DiscordWebSocket:
        """Connect, and resume the session or begin one; a connection that an earlier run left open is closed first."""
        left: DiscordWebSocket | None = self._client.ws
        if left is not None and left.open:
            await self._close(left)
        session = self._session
        gateway = session.gateway if session else None
        if session is not None:
            session.gateway = None  # where that cannot be reached, Discord's first address can take its place
        async with asyncio.timeout(self._waits.connect_seconds):
            ws = await DiscordWebSocket.from_client(
                self._client,
                initial=True,
                gateway=gateway,
                session=session.id if session else None,
                sequence=session.sequence if session else None,
                resume=session is not None,
            )
        self._begun += session is None
        return ws

    async def _poll(self, ws: DiscordWebSocket, until: float) -> None:
        """Read one payload. Raises _Stalled on silence, or if there is no session by the time `until`."""
        try:
            async with asyncio.timeout(self._waits.silent_seconds):
                await ws.poll_event()
        except TimeoutError:
            raise _Stalled(f"Discord's gateway is silent for {self._waits.silent_seconds:g} s") from None
        if self._is_in:
            self._note_sign()
        elif self._monotonic() > until:
            raise _Stalled(f"Discord's gateway begins no session for {self._waits.silent_seconds:g} s")

    def _note_sign(self) -> None:
        """Note a payload as a sign of life, unless it is a part of the greeting at the beginning of a session."""
        if self._monotonic() >= self._heard_from:
            self._health.touch()
            self._is_well = True
        if self._is_well:
            self._health.fault = self.standing()

    def _keep(self, ws: DiscordWebSocket | None, ending: Exception) -> None:
        """Remember which session the next connection resumes; none, if this one cannot be resumed."""
        is_void = isinstance(ending, ReconnectWebSocket) and not ending.resume
        is_unanswered = isinstance(ending, _Stalled) and not self._is_in
        if is_void or is_unanswered or (ws is not None and ws.socket.close_code in _VOID):
            self._session = None
        elif ws is not None and ws.session_id is not None and ws.sequence is not None:
            self._session = _Session(ws.session_id, ws.sequence, None if self._is_own else ws.gateway)

    def _judge(self, ending: Exception) -> None:
        """Decide what the end of a connection means. Raises Fatal."""
        match ending:
            case ReconnectWebSocket():
                log.info("discord_disconnected", resumes=self._session is not None)
            case discord.ConnectionClosed() if ending.code in _FATAL:
                self._session = None
                raise Fatal(_FATAL[ending.code])
            case discord.ConnectionClosed():
                self._fail(f"Discord's gateway has closed the connection ({ending.code})")
            case _Stalled():
                self._health.counts["stalled"] += 1
                self._fail(str(ending))
            case _:
                self._fail(f"Discord's gateway cannot be reached: {str(ending) or type(ending).__name__}")

    def _fail(self, sentence: str) -> None:
        self._health.fault = sentence
        log.warning("discord_unavailable", fault=sentence)

    async def _close(self, ws: DiscordWebSocket) -> None:
        """Close a connection: with code 4000 to keep its session, else with 1000, which shows the bot as offline."""
        with suppress(*_BROKEN, *UNREADABLE):
            async with asyncio.timeout(self._waits.close_seconds):
                await ws.close(code=4000 if self._session else 1000)


def _still(ws: DiscordWebSocket) -> None:
    """Stop the thread that sends heartbeats: it would outlive a connection that the library did not close."""
    keep_alive = ws._keep_alive
    if keep_alive is not None:
        keep_alive.stop()

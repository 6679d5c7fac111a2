"""This module assembles the receiving side of the Discord channel: gateway, intake, lanes and catching up."""

from __future__ import annotations

import asyncio
from itertools import count

import structlog

from channels.base import Accept, Places
from channels.discord.attention import Attention, Me
from channels.discord.connection import Client, Connection
from channels.discord.gateway import Fatal, Gateway
from channels.discord.intake import WITHHELD, Intake, Way
from channels.discord.lanes import Lanes
from channels.discord.offers import Offers, Tell
from channels.discord.parse import Reader
from channels.discord.past import Past, find_gaps
from channels.discord.rooms import Rooms
from channels.discord.waits import Waits
from channels.errors import ChannelUnavailable
from channels.health import Health

__all__ = ["Listener"]

log = structlog.get_logger()


class Listener:
    """Receives the messages of one bot until cancelled."""

    def __init__(self, connection: Connection, guilds: Attention, health: Health, waits: Waits, tell: Tell) -> None:
        """Listen through `connection`; tell a sender by `tell` that a message could not be kept yet."""
        self._connection = connection
        self._guilds: Attention = guilds
        self._health = health
        self._waits = waits
        self._tell = tell

    async def run(self, client: Client, accept: Accept, places: Places) -> None:
        """Receive until cancelled. Raises ChannelUnavailable if Discord refuses the bot at the start."""
        user = client.user
        reader = Reader(Me(user.id, user.display_name) if user else Me(0, ""), self._guilds)
        rooms = Rooms(self._connection, self._waits)
        offers = Offers(accept, rooms, self._tell, self._health, self._waits)
        past = Past(self._connection, reader, rooms, offers, self._health, self._waits)
        gateway = Gateway(client, self._health, self._waits, is_own=self._connection.is_elsewhere)
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, offers.offer, past.fetch, self._health, self._waits)
            gap = _Gap(tasks, lanes, places, self._waits)

            def begin() -> None:
                gateway.welcome()
                gap.open()

            way = Way(reader, lanes, begin, gateway.welcome, rooms.note_guild)
            intake = Intake(way, self._connection, self._health, tasks, self._waits)
            gateway.standing = lambda: offers.sentence or past.sentence or (WITHHELD if intake.is_withheld else "")
            self._connection.hear = intake.hear
            await self._keep(gateway)

    async def _keep(self, gateway: Gateway) -> None:
        """Stay connected; a refusal at the start is a configuration error, a later one is tried again after a pause."""
        for tries in count():
            try:
                await gateway.run()
            except Fatal as fault:
                if not gateway.is_welcome:
                    raise ChannelUnavailable(str(fault)) from None
                seconds = self._waits.switched_off.after(tries)
                self._health.fault = str(fault)
                self._health.tried(seconds)
                log.error("discord_unavailable", fault=str(fault), seconds=seconds)
                await asyncio.sleep(seconds)


class _Gap:
    """Finds out where messages may have been missed, each time a gateway session begins."""

    def __init__(self, tasks: asyncio.TaskGroup, lanes: Lanes, places: Places, waits: Waits) -> None:
        self._tasks = tasks
        self._lanes = lanes
        self._places = places
        self._waits = waits
        self._finding: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Hold the lanes until it is known where to catch up from."""
        self._lanes.hold()
        if self._finding is not None:
            self._finding.cancel()
        self._finding = self._tasks.create_task(self._find(), name="discord places")

    async def _find(self) -> None:
        self._lanes.release(await find_gaps(self._places, self._waits))

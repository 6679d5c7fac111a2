"""This module keeps a Socket Mode connection open, and opens the next one before it leaves one that Slack wants to end.

When one ends without notice there is a gap. Slack redelivers what was not acked, but for minutes only: so `lost` is
called when a gap begins and `found` when there is a connection again, and missed messages are caught up on.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import structlog

from channels.errors import ChannelError, ChannelUnavailable, Unreachable
from channels.slack.backoff import Backoff
from channels.slack.connection import APP_TOKEN, Connection
from channels.slack.ending import close_with_loop
from channels.slack.faults import Misconfigured, Silent, WireSwitchedOff
from channels.slack.line import Line, Take
from channels.slack.setup import wrong_app
from channels.slack.waits import Waits

__all__ = ["Keeper"]

log = structlog.get_logger()

OFF = "link_disabled"
"""Slack's reason for ending a connection after Socket Mode was switched off."""
CROWDED = "too_many_websockets"


class Keeper:
    """Keeps the Socket Mode connection of one app."""

    def __init__(self, connection: Connection, take: Take, alive: Callable[[], None], backoff: Backoff, waits: Waits):
        """Hand frames to `take`, tell `alive` of every sign of life, and wait after faults with `backoff`."""
        self._connection = connection
        self._take = take
        self._alive = alive
        self._monotonic = backoff.monotonic
        self._waits = waits
        self._backoff = backoff
        self._lines: set[Line] = set()
        self._ending: AsyncGenerator[None, None] | None = None
        self._is_known = False
        """Whether there ever was a connection; only before the first does a refusal end the channel."""

    async def run(self, lost: Callable[[], None], found: Callable[[], None]) -> None:
        """Keep a connection until cancelled; call `lost` when a gap begins, and `found` when it ends.

        Raises ChannelUnavailable if Slack refuses the first connection.
        """
        lost()
        self._ending = close_with_loop(self._shut)
        await anext(self._ending)
        try:
            first = await self._open_next()
            found()
            async with asyncio.TaskGroup() as tasks:
                await self._go_on(first, tasks, lost, found)
        finally:
            for line in self._lines:
                line.abandon()

    async def close(self) -> None:
        """Close connections that are still open."""
        if self._ending is not None:
            await self._ending.aclose()

    async def _shut(self) -> None:
        while self._lines:
            await self._lines.pop().shut()

    async def _go_on(
        self, first: Line, tasks: asyncio.TaskGroup, lost: Callable[[], None], found: Callable[[], None]
    ) -> None:
        line = first
        while True:
            began = self._monotonic()
            old = await self._use(line, began, lost)
            line = await self._open_next()
            if old is not None and not old.ended.is_set():
                tasks.create_task(self._retire(old), name="slack line that ends")
                continue
            if old is not None:  # it has ended before the next was there
                lost()
                await self._drop(old)
            found()

    async def _use(self, line: Line, began: float, lost: Callable[[], None]) -> Line | None:
        """Wait until another connection is needed; return this one if it can be used until that is open."""
        await _either(line.ended, line.leaving)
        line.check()
        if self._monotonic() - began >= self._waits.steady_seconds:
            self._backoff.begin_anew()
        if line.leaving.is_set() and line.reason not in (OFF, CROWDED) and not line.ended.is_set():
            log.info("slack_line_replaced", reason=line.reason)
            return line
        lost()
        await self._drop(line)
        log.warning("slack_line_lost", reason=line.reason or "it ended without notice")
        if line.reason == OFF:
            await self._backoff.sit_out(WireSwitchedOff(OFF))
        elif line.is_silent:
            seconds = 1.5 * self._waits.ping_seconds
            await self._backoff.sit_out(Silent(f"a connection showed no sign of life for {seconds:g} s"))
        elif self._monotonic() - began < self._waits.steady_seconds:
            await self._backoff.sit_out(Unreachable(f"a connection ended soon ({line.reason or 'without notice'})"))
        return None

    async def _open_next(self) -> Line:
        while True:
            try:
                line = await self._open()
            except Misconfigured as fault:
                if not self._is_known:
                    raise ChannelUnavailable(wrong_app(fault)) from None
                await self._backoff.sit_out(fault)
            except ChannelError as fault:
                await self._backoff.sit_out(fault)
            else:
                self._note(line)
                return line

    async def _open(self) -> Line:
        """Open a connection, and wait for its hello. Raises the classes of `channels.errors`."""
        address = await self._connection.open_address()
        client, token = self._connection.client, self._connection.app_token
        line = Line(client, token, self._take, self._alive, self._waits)
        self._lines.add(line)
        try:
            async with asyncio.timeout(self._waits.connect_seconds):
                await line.dial(address)
                await _either(line.greeted, line.ended, line.leaving)
        except TimeoutError:
            await self._drop(line)
            raise Silent(f"no connection of Socket Mode within {self._waits.connect_seconds:g} s") from None
        line.check()
        if line.greeted.is_set():
            return line
        await self._drop(line)
        if line.reason == OFF:
            raise WireSwitchedOff(OFF)
        raise Unreachable(f"a connection of Socket Mode ended at once ({line.reason or 'without notice'})")

    def _note(self, line: Line) -> None:
        self._backoff.greeted()
        if not self._is_known and line.beside > 1:
            reason = f"{line.beside} connections use {APP_TOKEN}: each of them gets only some of what is written"
            log.warning("slack_line_shared", reason=reason)
        self._is_known = True
        log.info("slack_line_opened", connections=line.beside)

    async def _retire(self, line: Line) -> None:
        """Keep the old connection for acks under way until Slack ends it, or for `linger_seconds`."""
        try:
            async with asyncio.timeout(self._waits.linger_seconds):
                await line.ended.wait()
        except TimeoutError:
            pass
        await self._drop(line)

    async def _drop(self, line: Line) -> None:
        await line.shut()
        self._lines.discard(line)
        line.check()


async def _either(*events: asyncio.Event) -> None:
    """Wait until any of the events is set."""
    async with asyncio.TaskGroup() as tasks:
        waiting = [tasks.create_task(event.wait(), name="slack line") for event in events]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

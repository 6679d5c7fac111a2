"""This module long-polls Telegram for updates (getUpdates), and confirms them by the offset once they are on disk.

While an update is not confirmed, Telegram returns it with every poll, at once: such polls are made with pauses, so that
one chat's slow file does not hold up the others. A stop confirms nothing more: what was accepted in the last moment is
redelivered at the next start, and is recognised.
"""

from __future__ import annotations

import asyncio
from functools import partial

import structlog

from channels.base import Accept
from channels.errors import ChannelError
from channels.health import Health
from channels.telegram.backoff import Backoff
from channels.telegram.chats import Chats
from channels.telegram.connection import Connection
from channels.telegram.faults import SlotTaken
from channels.telegram.lanes import Lanes, Tell
from channels.telegram.parse import Ignored, Read, Reader, Standing
from channels.telegram.progress import Progress
from channels.telegram.waits import Waits

__all__ = ["Poller"]

log = structlog.get_logger()

QUICK_SECONDS = 1
"""A poll that returns sooner than this has not waited for an update."""


class Poller:
    """Polls the updates of one bot."""

    def __init__(self, connection: Connection, reader: Reader, chats: Chats, health: Health, waits: Waits) -> None:
        """Parse updates with `reader`; note in `chats` and `health` what they tell besides messages."""
        self._connection = connection
        self._reader = reader
        self._chats = chats
        self._health = health
        self._monotonic = health.monotonic
        self._waits = waits
        self._progress = Progress()
        self._backoff = Backoff(health, waits)
        self._idle_polls = 0
        self._is_moving = False
        self._may_unhook = True

    async def run(self, accept: Accept, tell: Tell) -> None:
        """Poll until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            lanes = Lanes(tasks, accept, tell, self._waits)
            while True:
                await self._poll(lanes)

    async def _poll(self, lanes: Lanes) -> None:
        began = self._monotonic()
        try:
            seconds = 0 if self._progress.is_busy else self._waits.poll_seconds
            answer = await self._connection.get_updates(self._progress.offset, seconds)
        except ChannelError as fault:
            await self._recover(fault)
            return
        self._backoff.answered()
        reads = self._reader.read(self._progress.news(answer))
        is_new = self._take(reads, lanes)
        if lanes.refusal:
            self._health.fault = f"what comes in cannot be kept: {lanes.refusal}"
        await self._pause(lanes, is_new=is_new, is_quick=self._monotonic() - began < QUICK_SECONDS)

    async def _recover(self, fault: ChannelError) -> None:
        if isinstance(fault, SlotTaken) and fault.is_webhook and self._may_unhook:
            self._may_unhook = False
            try:
                await self._connection.call(lambda bot: bot.delete_webhook(drop_pending_updates=False))
            except ChannelError as another:
                log.warning("webhook_not_removed", fault=str(another))
            else:
                log.warning("webhook_removed", reason="it took this bot's updates")
                return
        await self._backoff.sit_out(fault)

    def _take(self, reads: list[Read], lanes: Lanes) -> bool:
        """Queue new updates; tell whether there were any. A chat's move to a new id is taken in on its own."""
        for count, read in enumerate(reads):
            if self._is_moving or (read.moves and self._progress.is_busy):
                return count > 0
            self._note(read)
            if isinstance(read.content, Ignored | Standing):
                self._progress.finish(read.update_id)
                continue
            self._progress.begin(read.update_id)
            self._is_moving = read.moves
            lanes.put(read.chat, read.content, partial(self._finish, read.update_id))
        return bool(reads)

    def _finish(self, update_id: int) -> None:
        """Note that an update is done; if it was a move, it was the only one under way."""
        self._is_moving = False
        self._progress.finish(update_id)

    def _note(self, read: Read) -> None:
        if read.is_forum:
            self._chats.note_forum(read.chat)
        if isinstance(read.content, Standing) and not read.content.is_member:
            self._chats.close(read.chat, "the bot was removed or blocked there")
        else:
            self._chats.open(read.chat)
        if isinstance(read.content, Ignored):
            self._health.counts[read.content.reason] += 1
            if read.content.reason == "unparsable":
                log.warning("update_not_readable", update=read.update_id)

    async def _pause(self, lanes: Lanes, *, is_new: bool, is_quick: bool) -> None:
        """Pause before the next poll if this one returned at once with nothing, or while updates are in progress."""
        self._idle_polls = 0 if is_new or not is_quick else self._idle_polls + 1
        if not self._progress.is_busy:
            if self._idle_polls:
                await asyncio.sleep(self._waits.empty.after(self._idle_polls - 1))
            return
        growing = self._waits.stuck if lanes.are_stuck else self._waits.busy
        seconds = growing.after(self._idle_polls)
        self._health.tried(seconds)
        try:
            async with asyncio.timeout(seconds):
                await self._progress.emptied.wait()
        except TimeoutError:
            return
        self._idle_polls = 0

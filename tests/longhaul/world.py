"""This module runs one daemon with one person: what is written, what the model is asked, and who waits for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from channels.base import Receipt
from tests.longhaul.daemon import Log
from tests.longhaul.journal import Journal
from tests.longhaul.model import Heard, Model
from tests.longhaul.script import Step

__all__ = ["Conversation", "World"]

TURN_SECONDS = 60
"""How long anything may take."""

STUCK_SECONDS = 1.0
"""After so long without any progress, a turn is taken to wait for a summary."""

COMMIT_SECONDS = 2.0
"""How long a summary that was told may need to be on record."""

LAST_STEPS = 20
"""Of the loop, after a turn's reply is delivered: by then the daemon has made up its mind about a summary."""

ASKING_SECONDS = 0.5
"""How long a summary that was begun may need to be asked for."""

QUIET_SECONDS = 0.03
QUIET_LOOKS = 3
"""Nothing is under way when nothing has happened for so long, so many times in a row."""


class Conversation(Protocol):
    """Where a person writes, and the file that it is written to."""

    @property
    def session(self) -> Path:
        """Return the conversation's file."""
        ...

    async def post(self, text: str) -> Receipt:
        """Write a message, and return once it is on disk."""
        ...


class World:
    """A daemon, its model, and its conversation's file."""

    def __init__(
        self, daemon: Conversation, model: Model, log: Log, name: str = "", *, stuck_seconds: float = STUCK_SECONDS
    ) -> None:
        """Watch them; the log knows the daemon by that name."""
        self.journal = Journal(daemon.session)
        self.asked: list[Heard] = []
        """What the model was asked for the messages of the last step, summaries aside."""
        self.judge: Callable[[Heard], None] = lambda request: None
        """Is told of each request when it comes, and the file has been read."""
        self._daemon = daemon
        self._model = model
        self._log = log
        self._name = name
        self._stuck_seconds = stuck_seconds
        self._has_waited = False
        model.heard = self._hear

    async def say(self, step: Step) -> bool:
        """Write, and wait for the end of it; return whether that waited for a summary."""
        self.journal.read()
        self.journal.mark()
        self.asked, self._has_waited = [], False
        waits, begun = self._log.waits(self._name), self._log.begun(self._name)
        count = self._model.summaries
        async with asyncio.timeout(TURN_SECONDS), asyncio.TaskGroup() as tasks:
            patience = tasks.create_task(self._let_wait(waits), name="patience")
            self._model.may_reply.clear()  # what is written at once is answered together
            receipts = [await self._daemon.post(text) for text in step.texts]
            self._model.may_reply.set()
            for receipt in receipts:
                await receipt.settled()
            patience.cancel()
        await self._hear_out(begun, count)
        self.journal.read()
        return self._has_waited or self._log.waits(self._name) > waits

    async def _hear_out(self, begun: int, count: int) -> None:
        """Let a summary that is begun at the end of a turn be asked for then, and not after the time that follows."""
        for _ in range(LAST_STEPS):
            await asyncio.sleep(0)
        with suppress(TimeoutError):
            async with asyncio.timeout(ASKING_SECONDS):
                while self._log.begun(self._name) > begun and self._model.summaries == count:
                    await self._something(ASKING_SECONDS)

    async def rest(self) -> None:
        """Tell the summaries whose time has come, and wait until they are on record."""
        made = self.journal.made
        if not self._model.release():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(COMMIT_SECONDS):
                while self.journal.made == made:
                    await self._something(QUIET_SECONDS)
                    self.journal.read()

    async def come_to_rest(self) -> None:
        """Wait until nothing is under way, and no summary is being made."""
        quiet = 0
        async with asyncio.timeout(TURN_SECONDS):
            while quiet < QUIET_LOOKS:
                self._model.release(all_of_them=True)
                before = self._progress()
                await asyncio.sleep(QUIET_SECONDS)
                is_busy = bool(self._model.under_way) or self._log.is_summarising(self._name)
                quiet = quiet + 1 if self._progress() == before and not is_busy else 0
        self.journal.read()

    def _progress(self) -> tuple[int, int]:
        return self._daemon.session.stat().st_size, self._model.count

    async def _let_wait(self, waits: int) -> None:
        """Tell every summary that a turn waits for."""
        while True:
            has_changed = await self._something(self._stuck_seconds)
            says_so = self._log.waits(self._name) > waits and self._model.is_holding
            if says_so or (self._model.is_only_holding and not has_changed):
                self._has_waited = True
                self._model.release(all_of_them=True)

    async def _something(self, seconds: float) -> bool:
        """Wait for a request, an answer or word of a summary, for so long at most; return whether there was any."""
        changed = self._log.changed
        changed.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await changed.wait()
        return changed.is_set()

    def _hear(self, request: Heard) -> None:
        self.journal.read()
        if not request.is_summary:
            self.asked.append(request)
        self.judge(request)

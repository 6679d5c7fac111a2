"""This module is the channel between the daemon and the simulated platform, for the life of one process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable

from channels.base import Accept, Address, Places, Receipt, RemoteFile
from channels.errors import FetchFailed, NotAccepted, NotSent, SendFailed, Unreachable
from channels.health import Health
from channels.markup.rich import Dialect, RichText, plain
from channels.pacing import UNPACED
from tests.simulation.chat import Fate, Platform, Shown, Update, units
from tests.simulation.system import Process
from tests.simulation.watch import UNSAVED, Watch

__all__ = ["CHANNEL", "Line"]

CHANNEL = "sim"
TIMEOUT_SECONDS = 10.0
AGAIN_SECONDS = (0.5, 3.0)


class Line:
    """One connection to the platform."""

    name = CHANNEL
    rates = UNPACED
    typing_seconds = 0.0

    def __init__(self, platform: Platform, process: Process, watch: Watch, life: int, chats: Iterable[str]) -> None:
        """Connect; `life` marks what this process shows."""
        self.streams = platform.manners.streams
        self.dialect = Dialect(plain, most_units=platform.manners.most_units)
        self.health = Health(asyncio.get_running_loop().time)
        self.nonce_seconds = platform.manners.nonce_seconds
        self.unsettled = 0
        """Receipts that somebody still waits for."""
        self._platform = platform
        self._process = process
        self._watch = watch
        self._life = life
        self._news = {chat: asyncio.Event() for chat in chats}

    async def run(self, accept: Accept, places: Places) -> None:
        """Offer what people did until cancelled."""
        del places
        platform = self._platform
        platform.forget_acks()
        async with asyncio.TaskGroup() as tasks:
            self._begin(accept, tasks)
            try:
                await asyncio.Event().wait()
            finally:
                platform.ignore()

    def _begin(self, accept: Accept, tasks: asyncio.TaskGroup) -> None:
        platform = self._platform

        def push(update: Update) -> None:
            tasks.create_task(self._push(update, accept, tasks), name=f"update {update.number}")

        def ring(update: Update) -> None:
            self._news[update.chat].set()

        platform.listener = push if platform.manners.pushes else ring
        if platform.manners.pushes:
            for update in [update for update in platform.updates if not update.is_acked]:
                push(update)
            return
        for chat in self._news:
            tasks.create_task(self._poll(chat, accept, tasks), name=f"poll {chat}")

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Show a message, or not, and say so, or not."""
        return await self._send(to, text.text, nonce)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Change a message that stands there."""
        await self._edit(to, message_id, text.text)

    async def show_typing(self, to: Address) -> None:
        """Show nothing."""
        del to

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Refuse: nobody here sends files."""
        raise FetchFailed(file.name)

    async def _send(self, to: Address, text: str, nonce: str) -> str:
        self._process.step("send")
        self._process.note("send", to.chat, repr(text))
        fate = self._platform.fate()
        await self._travel(fate, to, text, lambda: self._show(to.chat, text, nonce))
        shown = self._show(to.chat, text, nonce)
        await self._return(fate, to)
        shown.confirmed.add(self._life)
        self._process.note("sent", shown.message_id)
        return shown.message_id

    async def _edit(self, to: Address, message_id: str, text: str) -> None:
        self._process.step("edit")
        self._process.note("edit", to.chat, message_id, repr(text))
        fate = self._platform.fate()
        await self._travel(fate, to, text, lambda: self._change(to, message_id, text))
        self._change(to, message_id, text)
        await self._return(fate, to)

    async def delete(self, to: Address, message_id: str) -> None:
        """Take a message away."""
        self._process.step("delete")
        self._process.note("delete", to.chat, message_id)
        fate = self._platform.fate()
        await self._travel(fate, to, "", lambda: self._remove(to, message_id))
        self._remove(to, message_id)
        await self._return(fate, to)

    async def _travel(self, fate: Fate, to: Address, text: str, arrive: Callable[[], object]) -> None:
        """Bring a request to the platform, or raise what came of it."""
        try:
            await asyncio.sleep(self._platform.seconds())
        except asyncio.CancelledError:
            if self._platform.chance(0.5) and not self._process.is_dead:
                arrive()
            raise
        if fate == "not sent":
            self._process.note("fault", "nothing was sent")
            raise NotSent("no connection")
        if fate == "refused":
            self._platform.refused.add(to.chat)
            self._process.note("fault", "refused")
            raise SendFailed("the platform refuses")
        most_units = self.dialect.most_units
        if most_units is not None and units(text) > most_units and not text.startswith(UNSAVED):
            self._platform.refused.add(to.chat)
            self._watch.fail(f"a text of {units(text)} units was sent, and {most_units} fit")
            raise SendFailed("too long")
        if fate == "request lost":
            await asyncio.sleep(TIMEOUT_SECONDS)
            self._process.note("fault", "the request was lost")
            raise Unreachable("timed out")
        self._process.step("arrive")

    async def _return(self, fate: Fate, to: Address) -> None:
        """Bring the platform's answer back."""
        if fate == "answer lost":
            await asyncio.sleep(TIMEOUT_SECONDS)
            self._process.note("fault", "the answer was lost", to.chat)
            raise Unreachable("timed out")
        await asyncio.sleep(self._platform.seconds())
        self._process.step("answer")

    def _show(self, chat: str, text: str, nonce: str) -> Shown:
        now = asyncio.get_running_loop().time()
        shown = self._platform.show(text, nonce, chat=chat, life=self._life, now=now)
        if shown.at == now:
            self._watch.shows(shown)
        self._process.note("screen", chat, shown.message_id, repr(shown.text))
        return shown

    def _change(self, to: Address, message_id: str, text: str) -> None:
        shown = self._platform.shown.get(message_id)
        if shown is None or shown.chat != to.chat or shown.is_gone:
            self._watch.fail(f"{message_id} is no message in {to.chat}, and was edited")
            return
        shown.text = text

    def _remove(self, to: Address, message_id: str) -> None:
        shown = self._platform.shown.get(message_id)
        if shown is None or shown.chat != to.chat:
            self._watch.fail(f"{message_id} is no message in {to.chat}, and was deleted")
            return
        shown.is_gone = True

    async def _poll(self, chat: str, accept: Accept, tasks: asyncio.TaskGroup) -> None:
        """Offer a chat's updates one after the other: the next comes when the one before is confirmed."""
        while True:
            self._news[chat].clear()
            waiting = [update for update in self._platform.updates if update.chat == chat and not update.is_acked]
            if not waiting:
                await self._news[chat].wait()
            elif not await self._offer(waiting[0], accept, tasks):
                await asyncio.sleep(self._platform.dice.choice(AGAIN_SECONDS))

    async def _push(self, update: Update, accept: Accept, tasks: asyncio.TaskGroup) -> None:
        """Offer one update until it is confirmed, now and then twice at once."""
        while update.changes is not None and not update.changes.was_taken:  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.2)
        if self._platform.chance(self._platform.manners.repeats):
            tasks.create_task(self._offer(update, accept, tasks), name=f"update {update.number} again")
        while True:
            if await self._offer(update, accept, tasks):
                return
            await asyncio.sleep(self._platform.dice.choice(AGAIN_SECONDS))

    async def _offer(self, update: Update, accept: Accept, tasks: asyncio.TaskGroup) -> bool:
        """Offer an update once; tell whether the platform knows now that the daemon has it."""
        await asyncio.sleep(self._platform.seconds())
        if self._platform.is_away:
            return False
        self._process.note("offer", update)
        try:
            receipt = await accept(update.inbound)
        except NotAccepted as fault:
            self._process.note("refused", update.inbound.message_id, fault)
            return False
        self._process.alive()
        self._watch.taken(update)
        self._process.step("ack")
        tasks.create_task(self._settle(receipt), name=f"receipt of update {update.number}")
        update.is_acked = not self._platform.chance(self._platform.manners.loses_acks)
        self._process.note("ack", update.inbound.message_id, "" if update.is_acked else "is lost")
        return update.is_acked

    async def _settle(self, receipt: Receipt) -> None:
        self.unsettled += 1
        await receipt.settled()
        self.unsettled -= 1

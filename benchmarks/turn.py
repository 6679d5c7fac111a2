"""This benchmark measures the CPU time of a Telegram turn and how long a person waits for it, against a bare loop.

The bare loop does only what must be done in a turn: python-telegram-bot's calls, with the same connections, the
provider's stream, line by line, and one line that is appended and flushed. Daemon and loop are processes of their own,
and take turns, block by block. The loopback Telegram and the loopback model, in one process, take the times: from an
update handed over to the provider's request, from the same moment to the first visible piece less the provider's time
until its first word, and from the provider's last word to the final edit.

The bounds: at most twice the bare loop's CPU time, its time to the request, and its time to the final edit.

    python -m benchmarks.turn [TURNS]
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from telegram import Bot
from telegram.request import HTTPXRequest

from benchmarks.measuring.table import Bound, Table, handing_over
from tests.platforms.botapi.methods import MESSAGES
from tests.platforms.openai_server import Call, OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer

AGENTD = Path(sys.executable).with_name("agentd")
PIECES = (
    "Rain comes in ",
    "from the *west* ",
    "on Tuesday, ",
    "and stays for ",
    "two days.\n\n",
    "- **Coast**: mild, ",
    "up to 14 degrees\n",
    "- **Hills**: fog in ",
    "the morning\n\n",
    "Take `an umbrella` ",
    "and good shoes. ",
    "Nothing else is needed.",
)
TITLE = "A Telegram turn, and the wait for it"
FLOOR = (
    "The floor is a bare loop: python-telegram-bot's calls, the provider's stream, and one line that is appended and "
    "flushed. The first visible piece is counted from the message, without the provider's time until its first word."
)
TWICE = Bound("ratio", 2.0)
TURNS, SHORT_TURNS = 200, 20
WARM_UP_TURNS = 40
"""The turns before measuring; the people of these turns are the known ones later."""
ASKED = "How will the weather be on the coast next week?"
PAUSE_SECONDS = 0.12
"""The pause between two pieces of a slow answer, so that the reply is edited once between its first and its last."""
DRAFT_SECONDS = 1.0
"""How often the bare loop edits a growing answer, as the daemon's budget for one chat allows."""
BETWEEN_TURNS_SECONDS = 0.15
"""The pause between turns, which keeps below Telegram's rate of 30 messages a second over all chats."""

STEPS = {
    "cpu": "processor a turn",
    "to_request": "message to the provider's request",
    "to_first_piece": "message to the first visible piece",
    "to_final": "the provider's last word to the final edit",
}


@dataclass(slots=True)
class Figures:
    """What was measured of one process, in seconds, and how often it called Telegram."""

    cpu: list[float] = field(default_factory=list)
    """The CPU time of a turn, one figure for each block."""
    to_request: list[float] = field(default_factory=list)
    to_first_piece: list[float] = field(default_factory=list)
    to_final: list[float] = field(default_factory=list)
    calls: int = 0


class TimedTelegram(TelegramServer):
    """A loopback Telegram that notes when an update is handed over and when an answer arrives; it checks no results."""

    def __init__(self) -> None:
        """Begin with nothing noted."""
        super().__init__()
        self.handed = self.shown = self.edited = 0.0
        self.answered = asyncio.Event()

    async def __aenter__(self) -> TimedTelegram:
        """Start to listen."""
        await super().__aenter__()
        return self

    async def perform(self, method: str, params: Mapping[str, Any]) -> object:
        """Let a call have its effect."""
        arrived = time.monotonic()
        result = await self.methods.perform(method, params)
        if method == "getUpdates" and result:
            self.handed, self.shown = time.monotonic(), 0.0
        if method in MESSAGES:
            self.shown = self.shown or arrived
        if method in MESSAGES and PIECES[-1] in params["text"]:
            self.edited = arrived
            self.answered.set()
        return result


class Rig:
    """A loopback Telegram, a loopback model, and the measured process between them."""

    def __init__(self, name: str, telegram: TimedTelegram, model: OpenAIServer) -> None:
        """Let the model answer with the pieces."""
        self.name = name
        self.telegram = telegram
        self.model = model
        self.process: Process | None = None
        self.pause_seconds = 0.0
        self._asked = self._began = self._said = 0.0
        model.enqueue(self._answer)

    async def _answer(self, call: Call) -> web.StreamResponse:
        self._asked = time.monotonic()
        self.model.enqueue(self._answer)
        await call.open()
        for number, piece in enumerate(PIECES):
            if number and self.pause_seconds:
                await asyncio.sleep(self.pause_seconds)
            await call.say(piece)
            if not number:
                self._began = time.monotonic()
        self._said = time.monotonic()
        return await call.finish()

    def _cpu_seconds(self) -> float:
        """Return the CPU time that the process has used so far, in all its threads."""
        assert self.process
        # What clock_getcpuclockid(3) returns for a process.
        return time.clock_gettime(~self.process.pid << 3 | 2)

    async def block(self, chats: Sequence[int]) -> Figures:
        """Let each of these people ask once, one after the other."""
        figures = Figures()
        cpu, calls = self._cpu_seconds(), len(self.telegram.calls)
        for chat in chats:
            self.telegram.answered.clear()
            self.telegram.post(ASKED, chat=chat, sender=chat)
            async with asyncio.timeout(30):
                await self.telegram.answered.wait()
            figures.to_request.append(self._asked - self.telegram.handed)
            provider_seconds = self._began - self._asked
            figures.to_first_piece.append(self.telegram.shown - self.telegram.handed - provider_seconds)
            figures.to_final.append(self.telegram.edited - self._said)
            await asyncio.sleep(BETWEEN_TURNS_SECONDS)
        figures.cpu = [(self._cpu_seconds() - cpu) / len(chats)]
        figures.calls = len(self.telegram.calls) - calls
        return figures


@asynccontextmanager
async def open_rig(name: str, folder: Path) -> AsyncIterator[Rig]:
    """Start both servers, and between them the daemon or the bare loop, by `name`."""
    os.mkdir(folder)
    async with TimedTelegram() as telegram, OpenAIServer() as model:
        rig = Rig(name, telegram, model)
        config = folder / "config.toml"
        config.write_text(
            f'workspace = "{folder}/workspace"\n'
            f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\n'
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
            'allowed_users = ["*"]\n'
            "[memory]\nenabled = false\n"  # the bare loop has none; what it costs is measured in consolidating.py
        )
        command = {
            "daemon": [str(AGENTD), "--config", str(config), "run"],
            "bare": [sys.executable, __file__, "--bare", telegram.base_url, model.base_url, str(folder / "log.jsonl")],
        }[name]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AGENTD_")}
        with (folder / "stderr").open("wb") as errors:
            rig.process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stderr=errors, env=environment)
            try:
                yield rig
            finally:
                rig.process.terminate()
                await rig.process.wait()


class Comparison:
    """Measures the daemon and the bare loop in turn."""

    def __init__(self, table: Table, rigs: Sequence[Rig], turns: int, block: int) -> None:
        """Measure `turns` turns of each, in blocks of `block`."""
        self._table = table
        self._rigs = rigs
        self._blocks = turns // block
        self._block = block
        self._chats = itertools.count(1_000)

    def new_chats(self) -> list[int]:
        """Return people who have never asked."""
        return list(itertools.islice(self._chats, self._block))

    async def show(self, what: str, chats: Callable[[], list[int]]) -> None:
        """Measure with answers that come at once."""
        await self._measure(what, chats, self._blocks, 0.0)

    async def show_slow(self, what: str, chats: Callable[[], list[int]], turns: int) -> None:
        """Measure with answers that come slowly, piece by piece."""
        await self._measure(what, chats, turns // self._block, PAUSE_SECONDS)

    async def _measure(self, what: str, chats: Callable[[], list[int]], blocks: int, pause_seconds: float) -> None:
        """Measure, and add the medians to the table."""
        sums = {rig.name: Figures() for rig in self._rigs}
        for number in range(blocks):
            asking = chats()
            for rig in self._rigs if number % 2 else reversed(self._rigs):
                rig.pause_seconds = pause_seconds
                figures, total = await rig.block(asking), sums[rig.name]
                total.cpu += figures.cpu
                total.to_request += figures.to_request
                total.to_first_piece += figures.to_first_piece
                total.to_final += figures.to_final
                total.calls += figures.calls
        daemon, bare = sums["daemon"], sums["bare"]
        turns = len(daemon.to_request)
        what = f"{what}, {turns} turns"
        for name, label in STEPS.items():
            ours, theirs = (1_000 * statistics.median(getattr(one, name)) for one in (daemon, bare))
            self._table.add(f"{what}: {label}", ours, "ms", theirs, *(() if name == "to_first_piece" else (TWICE,)))
        self._table.add(f"{what}: calls of Telegram a turn", daemon.calls / turns, "calls", bare.calls / turns)


async def measure(table: Table, turns: int, *, short: bool, block: int = 5) -> None:
    """Compare with answers that come at once and with slow ones, in new chats and in known ones."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        async with open_rig("daemon", folder / "daemon") as daemon, open_rig("bare", folder / "bare") as bare:
            compared = Comparison(table, (daemon, bare), turns, block)
            known = [compared.new_chats() for _ in range((10 if short else WARM_UP_TURNS) // block)]
            for rig in (daemon, bare):
                for chats in known:
                    await rig.block(chats)
            again = itertools.cycle(known)
            await compared.show("new chats", compared.new_chats)
            await compared.show("known chats", lambda: next(again))
            await compared.show_slow("known chats, slow answers", lambda: next(again), 10 if short else 40)


async def bare_loop(telegram: str, model: str, path: Path) -> None:
    """Answer one message after another, until killed."""
    tls = ssl.create_default_context()
    options: dict[str, Any] = {"httpx_kwargs": {"trust_env": False, "verify": tls}}
    bot = Bot(
        TOKEN,
        base_url=f"{telegram}/bot",
        request=HTTPXRequest(connection_pool_size=32, **options),
        get_updates_request=HTTPXRequest(connection_pool_size=2, **options),
    )
    offset = None
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        with path.open("ab", buffering=0) as file:
            while True:
                updates = await bot.get_updates(offset=offset, timeout=30, allowed_updates=["message"])
                for update in updates:
                    offset = update.update_id + 1
                    assert update.message
                    assert update.message.text
                    file.write(
                        json.dumps({"id": update.message.message_id, "text": update.message.text}).encode() + b"\n"
                    )
                    os.fsync(file.fileno())
                    await bare_turn(bot, client, model, update.message.chat.id, update.message.text)


async def bare_turn(bot: Bot, client: httpx.AsyncClient, model: str, chat: int, asked: str) -> None:
    """Ask the model, send the beginning of its answer at once, edit it every `DRAFT_SECONDS`, and complete it."""
    body = {
        "model": "test",
        "messages": [{"role": "user", "content": asked}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    text, shown, shown_at = "", None, 0.0
    async with client.stream("POST", f"{model}/chat/completions", json=body) as response:
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            chunk = json.loads(line[6:])
            if not chunk["choices"] or not (piece := chunk["choices"][0]["delta"].get("content")):
                continue
            text += piece
            if shown is None:
                shown, shown_at = await bot.send_message(chat, text), time.monotonic()
            elif time.monotonic() - shown_at >= DRAFT_SECONDS:
                await bot.edit_message_text(text, chat, shown.message_id)
                shown_at = time.monotonic()
    assert shown
    await bot.edit_message_text(text, chat, shown.message_id)


def main() -> None:
    """Measure, or with `--bare` run the bare loop."""
    if sys.argv[1:2] == ["--bare"]:
        telegram, model, path = sys.argv[2:]
        asyncio.run(bare_loop(telegram, model, Path(path)))
        return
    with handing_over(TITLE, FLOOR) as (given, table):
        asyncio.run(measure(table, given.size(SHORT_TURNS, TURNS), short=given.short))


if __name__ == "__main__":
    main()

"""This benchmark measures how much memory delays replies: with hanging consolidations, with quick ones, and off.

It runs three daemons as processes, each with a Telegram and two models on this machine: one model answers people at
once, the other does the consolidations, and is silent for a minute ("hanging") or answers at once. The daemons take
turns, a few people at a time. It takes three times from the moment an update is handed over: until the model is asked,
until something of the reply is sent, and until its last edit. Then the same for people with many known entries, which
are recalled first.

The bound: with hanging consolidations, at most 1.1 times the wait with quick ones. The figures beside "off" show what
recall costs, some milliseconds.

    python -m benchmarks.consolidating
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import statistics
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.idle import cpu_seconds
from benchmarks.measuring.table import Bound, Table, handing_over
from benchmarks.recall import BEGAN, Language
from benchmarks.turn import AGENTD, BETWEEN_TURNS_SECONDS, PIECES
from memory.model import Daily, Exchange, Lesson, Words
from memory.store_sqlite.store import open_sqlite_memory
from tests.platforms.botapi.methods import MESSAGES
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer

OFF, AT_ONCE, HANGING = "off", "at once", "hanging"
HANG_SECONDS = 60.0
TITLE = "What memory costs whoever waits for a reply"
FLOOR = (
    "The floor of a daemon whose consolidations end at once is one whose memory is off; that of one whose "
    "consolidations hang is one where they end at once. Waits are from an update handed over to the daemon."
)
HARMLESS = Bound("ratio", 1.1)
BLOCK = 5
BURSTS = 9
"""Each daemon is the first in a third of the bursts, since it goes on working while the next is measured."""
COLD_TURNS = 10
"""A measurement of so few turns has no bound: it includes what a daemon loads only once."""
FEW_TURNS = 100
"""With fewer turns than this, no 95th percentile is shown."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many people write, and how often."""

    first: range
    chats: range
    known: range
    """The people of whom memory knows something."""
    entries: int
    """How many entries memory has of each of those."""
    rounds: int


FULL = Sizes(range(900, 920), range(1_000, 1_050), range(2_000, 2_010), 1_000, 3)
SHORT = Sizes(range(900, 905), range(1_000, 1_015), range(2_000, 2_003), 500, 1)

ASKED = "{question} (chat {chat}, day {day})"
REST_SECONDS = 1.2
"""The pause before a burst: Telegram takes 30 messages a second, and those of the burst before would count."""
PAUSE_SECONDS = 0.05
"""The pause before the last piece of an answer, so that its beginning is shown before its end."""
STEPS = {
    "asked": "the model is asked",
    "shown": "something is sent",
    "ended": "the last edit",
    "cpu": "processor a turn",
}
"""What is measured of a turn; the processor's time is that of a block divided by its turns."""


@dataclass(slots=True)
class Turn:
    """The times of one turn's steps, by the monotonic clock."""

    handed: float = 0.0
    asked: float = 0.0
    shown: float = 0.0
    ended: float = 0.0
    done: asyncio.Event = field(default_factory=asyncio.Event)


class Telegram(TelegramServer):
    """A loopback Telegram that notes when an update is handed over and when a reply is sent; it checks no results."""

    def __init__(self, turns: Mapping[int, Turn]) -> None:
        """Note the times in the person's turn."""
        super().__init__()
        self._turns = turns

    async def __aenter__(self) -> Telegram:
        """Start to listen."""
        await super().__aenter__()
        return self

    async def perform(self, method: str, params: Mapping[str, Any]) -> object:
        """Let a call have its effect."""
        arrived = time.monotonic()
        result: Any = await self.methods.perform(method, params)
        if method == "getUpdates":
            for update in result:
                turn = self._turns[update["message"]["chat"]["id"]]
                turn.handed = turn.handed or time.monotonic()
        if method in MESSAGES:
            turn = self._turns[int(params["chat_id"])]
            turn.shown = turn.shown or arrived
            if PIECES[-1] in params["text"]:
                turn.ended = arrived
                turn.done.set()
        return result


class Model(OpenAIServer):
    """A loopback model that answers at once, and notes when it was asked."""

    def __init__(self, turns: Mapping[int, Turn]) -> None:
        """Note the times in the person's turn."""
        super().__init__()
        self._turns = turns

    async def __aenter__(self) -> Model:
        """Start to listen."""
        await super().__aenter__()
        return self

    def _default(self, asked: Asked) -> Behaviour:
        chat = int(re.findall(r"\(chat (\d+)", asked.last_user_text)[-1])
        self._turns[chat].asked = time.monotonic()
        return _answer


async def _answer(call: Call) -> web.StreamResponse:
    await call.open()
    for piece in PIECES[:-1]:
        await call.say(piece)
    await asyncio.sleep(PAUSE_SECONDS)
    await call.say(PIECES[-1])
    return await call.finish()


class Clerk(ClerkServer):
    """A loopback model for consolidations that answers after a while."""

    def __init__(self, silent_seconds: float) -> None:
        """Wait `silent_seconds` before each answer."""
        super().__init__()
        self._silent_seconds = silent_seconds

    async def __aenter__(self) -> Clerk:
        """Start to listen."""
        await super().__aenter__()
        return self

    async def _tell(self, call: Call, said: str) -> web.StreamResponse:
        await asyncio.sleep(self._silent_seconds)
        return await super()._tell(call, said)


class Rig:
    """A daemon with its loopback servers, and what is measured of it."""

    def __init__(
        self, name: str, turns: dict[int, Turn], telegram: Telegram, clerk: Clerk, questions: Sequence[str], pid: int
    ) -> None:
        """Begin with nothing measured."""
        self.name = name
        self.telegram = telegram
        self.clerk = clerk
        self._questions = questions
        self._pid = pid
        self.waits: dict[str, list[float]] = defaultdict(list)
        """The seconds from an update handed over to each step."""
        self._turns = turns

    async def block(self, chats: Sequence[int], day: int, *, together: bool) -> None:
        """Let each of these people ask once: together, or one after the other."""
        if together:
            await asyncio.sleep(REST_SECONDS)
        used = cpu_seconds(self._pid)
        for chat in chats:
            await self._ask(chat, day)
            if not together:
                await self._answered(chat)
                await asyncio.sleep(BETWEEN_TURNS_SECONDS / 2)
        if together:
            for chat in chats:
                await self._answered(chat)
        self.waits["cpu"].append((cpu_seconds(self._pid) - used) / len(chats))

    async def _ask(self, chat: int, day: int) -> None:
        self._turns[chat] = Turn()
        text = ASKED.format(question=self._questions[(chat + 7 * day) % len(self._questions)], chat=chat, day=day)
        self.telegram.post(text, chat=chat, sender=chat)

    async def _answered(self, chat: int) -> None:
        turn = self._turns[chat]
        async with asyncio.timeout(30):
            await turn.done.wait()
        for step in ("asked", "shown", "ended"):
            self.waits[step].append(getattr(turn, step) - turn.handed)


@asynccontextmanager
async def open_rig(name: str, folder: Path, memory: Path, questions: Sequence[str]) -> AsyncIterator[Rig]:
    """Start a daemon with a copy of this memory, and its loopback servers."""
    turns: dict[int, Turn] = defaultdict(Turn)
    os.makedirs(folder / "workspace", mode=0o700)
    shutil.copy(memory, folder / "workspace/memory.db")
    clerk = Clerk(HANG_SECONDS if name == HANGING else 0.0)
    async with Telegram(turns) as telegram, Model(turns) as model, clerk:
        config = folder / "config.toml"
        config.write_text(
            f'workspace = "{folder}/workspace"\n[memory]\nenabled = {"false" if name == OFF else "true"}\n'
            f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\n'
            f'[provider.background]\nkind = "openai"\nbase_url = "{clerk.base_url}"\nmodel = "clerk"\n'
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
            'allowed_users = ["*"]\n'
        )
        command = (str(AGENTD), "--config", str(config), "run")
        environment = {key: value for key, value in os.environ.items() if not key.startswith("AGENTD_")}
        with (folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stderr=log, env=environment)
            try:
                yield Rig(name, turns, telegram, clerk, questions, process.pid)
            finally:
                process.terminate()
                await process.wait()
        _check(folder / "log")


def _check(log: Path) -> None:
    """Assert that the log has no event that would have cost somebody a reply."""
    events = [json.loads(line)["event"] for line in log.read_text("utf-8").splitlines() if line.startswith("{")]
    wrong = {"turn_crashed", "provider_failed", "recall_failed", "learning_postponed", "task_dead", "task_failed"}
    assert not wrong & {*events}, sorted(wrong & {*events})


async def fill(path: Path, language: Language, sizes: Sizes) -> None:
    """Fill a memory with entries of some people, an hour apart."""
    async with open_sqlite_memory(path, lambda: datetime.now(UTC)) as store:
        for chat in sizes.known:
            for number in range(sizes.entries):
                text, at = language.text(number), BEGAN + timedelta(hours=number)
                words = (Words(number, at, text),)
                said = Exchange(f"telegram~{chat}", number, number, f"telegram:{chat}", "Ada", True, words)
                await store.learn(Lesson(said, Daily(text, at)))


class Comparison:
    """Measures the daemons in turn."""

    def __init__(self, table: Table, rigs: Sequence[Rig]) -> None:
        """Compare these daemons; each is the floor of the next."""
        self._table = table
        self._rigs = rigs
        self._day = 0

    async def show(self, what: str, chats: Sequence[int], rounds: int, *, block: int = BLOCK) -> None:
        """Measure, and add the medians to the table; with many turns also the 95th percentiles."""
        for rig in self._rigs:
            rig.waits.clear()
        for _ in range(rounds):
            self._day += 1
            for number, start in enumerate(range(0, len(chats), block)):
                turn = (number + self._day) % len(self._rigs)
                for rig in (*self._rigs[turn:], *self._rigs[:turn]):
                    await rig.block(chats[start : start + block], self._day, together=block > BLOCK)
        turns = len(chats) * rounds
        for step, label in STEPS.items():
            for floor, rig in pairwise(self._rigs):
                bounds = (HARMLESS,) if rig.name == HANGING and step != "cpu" and turns > COLD_TURNS else ()
                name = f"{what}, {turns} turns, {rig.name}: {label}"
                for which, theirs, ours in zip(
                    ("", ", 95 of 100"), _figures(floor.waits[step]), _figures(rig.waits[step]), strict=True
                ):
                    if not which or turns >= FEW_TURNS:
                        self._table.add(name + which, ours, "ms", theirs, *(() if which else bounds))


def _figures(waits: Sequence[float]) -> tuple[float, float]:
    late = statistics.quantiles(waits, n=20)[-1] if len(waits) > 1 else waits[0]
    return 1_000 * statistics.median(waits), 1_000 * late


async def measure(table: Table, sizes: Sizes) -> None:
    """Compare one person at a time, many at once, and people with many known entries."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        memory, language = folder / "memory.db", Language()
        await fill(memory, language, sizes)
        questions = language.questions()["as texts"]
        async with (
            open_rig(OFF, folder / "off", memory, questions) as off,
            open_rig(AT_ONCE, folder / "at-once", memory, questions) as at_once,
            open_rig(HANGING, folder / "hanging", memory, questions) as hanging,
        ):
            rigs = (off, at_once, hanging)
            compared = Comparison(table, rigs)
            await compared.show("the first", sizes.first, 1)
            await compared.show("each chat's first", sizes.chats, 1)
            if sizes.rounds > 1:
                await compared.show("one at a time", sizes.chats, sizes.rounds - 1)
            await compared.show("all at once", sizes.chats, BURSTS, block=len(sizes.chats))
            await compared.show(f"{sizes.entries:,} entries known", sizes.known, 4 * sizes.rounds)
            print(f"asked what is to be kept: {len(at_once.clerk.asked_of)} (at once), {len(hanging.clerk.asked_of)}")


def main() -> None:
    """Measure."""
    with handing_over(TITLE, FLOOR) as (given, table):
        asyncio.run(measure(table, SHORT if given.short else FULL))


if __name__ == "__main__":
    main()

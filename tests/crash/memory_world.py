"""This module is the world of the consolidation tests: two people, and a daemon that learns over several runs.

They say four things, each when the one before was answered. The last of Ada's repeats a fact: it has two places on
which it stands then.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Entry
from agentd.transcript.clock import utc_now
from memory.model import Kind, Memory
from memory.opening import open_memory
from tests.crash.memory_looks import Location, Look, Lookout, look_at
from tests.crash.nursery import Child, Nursery
from tests.crash.target import Plan
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer

__all__ = ["FACTS", "SAID", "MemoryWorld", "Outcome", "Run", "open_memory_world"]

ADA, BOB = 7, 8

SAID = (
    (ADA, "By the way, my cat is called Tom these days."),
    (ADA, "There is more to tell, my dog is called Rex, and he barks."),
    (BOB, "You should know that my horse is called Ida."),
    (ADA, "Did I tell you before that my cat is called Tom already?"),
)
"""What is said: by whom, and what."""

FACTS = {
    (ADA, "Has a cat called Tom"): (0, 3),
    (ADA, "Has a dog called Rex"): (1,),
    (BOB, "Has a horse called Ida"): (2,),
}
"""What is to be learnt of whom, and from which of it."""

LOOK_SECONDS = 0.03
"""Files and servers set no event: so often they are looked at."""


class DaemonFailed(Exception):
    """It ended by itself while it was to run."""


@dataclass(frozen=True, slots=True)
class Run:
    """How one run of the daemon is to end: by a call, a step, or from outside when the clerk is asked, or half done.

    With none of these it lives until it is killed by hand.
    """

    call: str | None = None
    step: str | None = None
    outside: str = ""
    """"asked", "two" (asked side by side), "half"; nothing for never."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is kept at the end."""

    entries: tuple[Memory, ...]
    tasks: tuple[Entry, ...]
    look: Look
    records: tuple[tuple[str, int, str], ...]
    """Of each message in the order of SAID: its session, seq, and text."""

    def faults(self, *, is_rubbish: bool = False) -> Iterator[str]:
        """Yield what is wrong."""
        if [text for _, _, text in self.records] != [text for _, text in SAID]:
            yield f"said are {self.records}"
            return
        ranges = sorted((session, seq, seq) for session, seq, _ in self.records)
        if sorted(self.look.learnt) != ranges:
            yield f"learnt are {self.look.learnt}"
        if self.tasks:
            yield f"tasks are left: {self.tasks}"
        days = sorted((entry.session, entry.first, entry.text) for entry in self.entries if entry.kind is Kind.DAILY)
        told = sorted((session, seq, f"They told: {text}") for session, seq, text in self.records)
        if days != ([] if is_rubbish else told):
            yield f"history is {days}"
        if self._facts() != ([] if is_rubbish else self._expected()):
            yield f"facts are {self._facts()}"

    def _facts(self) -> list[tuple[str, str, list[tuple[str, int, str]]]]:
        cores = [entry for entry in self.entries if entry.kind is Kind.CORE]
        return sorted(
            (core.person, core.text, sorted((given.session, given.seq, given.quote) for given in core.evidence))
            for core in cores
        )

    def _expected(self) -> list[tuple[str, str, list[tuple[str, int, str]]]]:
        quote = {text: f"my {text.split()[2]} is called {text.split()[-1]}" for _, text in FACTS}
        return sorted(
            (f"telegram:{person}", text, sorted((*self.records[place][:2], quote[text]) for place in places))
            for (person, text), places in FACTS.items()
        )


@dataclass
class MemoryWorld:
    """One workspace, through all runs of its daemon."""

    folder: Path
    nursery: Nursery
    telegram: TelegramServer
    model: OpenAIServer
    clerk: ClerkServer
    location: Location
    lookout: Lookout
    runs: Sequence[Run] = ()
    children: list[Child] = field(default_factory=list)
    kills: int = 0
    stopping: bool = False
    more: str = ""
    """Further lines of the configuration."""
    on_killed: Callable[[int], None] = lambda kills: None
    _has_failed: bool = False
    _workers: list[Child] = field(default_factory=list)
    _polled_before: int = 0

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def is_through(self) -> bool:
        """Tell whether every kill has come."""
        return self.kills == len(self.runs)

    @property
    def _polls(self) -> int:
        return sum(method == "getUpdates" for method, _ in self.telegram.calls)

    def write_config(self) -> None:
        """Write the configuration that every run reads."""
        url = self.location if isinstance(self.location, SecretStr) else None
        self.config.write_text(
            f'workspace = "{self.folder / "workspace"}"\n{self.more}\n'
            f'[storage]\nurl = "{url.get_secret_value() if url else ""}"\n'
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{self.telegram.base_url}"\n'
            'allowed_users = ["*"]\n'
            "[memory]\nenabled = true\n"
            f'[provider]\nkind = "openai"\nbase_url = "{self.model.base_url}"\nmodel = "test"\n'
            f'[provider.background]\nkind = "openai"\nbase_url = "{self.clerk.base_url}"\nmodel = "clerk"\n',
            encoding="utf-8",
        )

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something that a call or an end brings about, or that a file does beside it."""
        while not holds():
            if self._has_failed:
                raise DaemonFailed
            self.telegram.changed.clear()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self.telegram.changed.wait()
            except TimeoutError:
                continue

    def records(self, kind: str) -> list[tuple[str, dict[str, Any]]]:
        """Return the records of a type (messages: by their role), each with its session, as they stand in the files."""
        found = []
        for path in sorted((self.folder / "workspace" / "sessions").glob("*.jsonl")):
            for line in path.read_bytes().split(b"\n")[:-1]:
                record = json.loads(line) if line.startswith(b"{") and line.endswith(b"}") else {}
                if record and kind == (record.get("role") or record["type"]):
                    found.append((path.stem, record))
        return found

    async def converse(self, count: int = len(SAID)) -> None:
        """Say everything, each when what was said before is answered."""
        done = len(self.records("delivery"))
        for number, (person, text) in enumerate(SAID[done : done + count], done + 1):
            self.telegram.post(text, sender=person, chat=person)
            await self.until(lambda number=number: self._is_answered(number))  # type: ignore[misc]

    def _is_answered(self, count: int) -> bool:
        return not self.telegram.unconfirmed and len(self.records("delivery")) >= count

    def look(self) -> Look:
        """Return what is kept, as it stands on disk."""
        return self.lookout.look()

    async def at_rest(self, dead: int = 0) -> None:
        """Wait until every kill has come and nothing waits any more: all is learnt, but for what is dead."""

        def rests() -> bool:
            look = self.look()
            return len(look.learnt) >= len(SAID) - dead and not look.waiting and look.dead == dead

        await self.until(lambda: self.is_through)
        await self.until(rests)
        await self.until(lambda: self._polls > self._polled_before)  # by then it takes signals

    async def keep_running(self) -> None:
        """Start the daemon, and again whenever it was killed, until it ends by itself."""
        while True:
            run = self.runs[self.kills] if self.kills < len(self.runs) else Run()
            code = await self._run_once(run)
            if self.stopping:
                return
            if code != -signal.SIGKILL:
                self._has_failed = True
                self.telegram.changed.set()
                return
            self.kills += 1
            self.on_killed(self.kills)
            self.telegram.changed.set()

    def start_worker(self, call: str | None = None) -> Child:
        """Start a worker beside the daemon."""
        plan = Plan(config=str(self.config), kill_call=call, alone=True)
        child = self.nursery.start(plan, self.folder / "worker-log", self.telegram.changed.set)
        self._workers.append(child)
        return child

    async def stop(self) -> list[int]:
        """Ask all to end, and return their exit codes."""
        self.stopping = True
        living = [child for child in (*self._workers, self.children[-1]) if child.code is None]
        for child in living:
            child.kill(signal.SIGTERM)
        return [await child.ended() for child in (*living, self.children[-1])]

    async def outcome(self) -> Outcome:
        """Read what is kept; the daemon has ended."""
        workspace = self.folder / "workspace"
        async with open_memory(self.location or workspace / "memory.db", utc_now) as store:
            entries = await store.export(frozenset({f"telegram:{ADA}", f"telegram:{BOB}"}))
        async with open_queue(self.location or workspace / "tasks.db", utc_now) as queue:
            tasks = await queue.entries()
        said = {record["content"]: (session, record["seq"]) for session, record in self.records("user")}
        records = tuple((*said[text], text) for _, text in SAID if text in said)
        return Outcome(entries, tuple(tasks), look_at(self.location, workspace), records)

    def leaked(self) -> list[str]:
        """Return what of people's words is in the log."""
        logs = "".join(path.read_text("utf-8") for path in self.folder.glob("*log"))
        return [text for text in ("called Tom", "called Rex", "called Ida") if text in logs]

    async def _run_once(self, run: Run) -> int:
        self.clerk.half_said.clear()
        self._polled_before = self._polls
        asked = len(self.clerk.asked_of)
        plan = Plan(config=str(self.config), kill_at=run.step, kill_call=run.call)
        child = self.nursery.start(plan, self.folder / "log", self.telegram.changed.set)
        self.children.append(child)
        if not run.outside:
            return await child.ended()
        async with asyncio.TaskGroup() as tasks:
            killing = tasks.create_task(self._kill(run.outside, asked, child), name="kill")
            code = await child.ended()
            killing.cancel()
        return code

    async def _kill(self, when: str, asked: int, child: Child) -> None:
        if when == "half":
            await self.clerk.half_said.wait()
        else:
            most = asked + (1 if when == "two" else 0)
            await self.until(lambda: len(self.clerk.asked_of) > most)
        child.kill()


@asynccontextmanager
async def open_memory_world(
    folder: Path, nursery: Nursery, location: Location, runs: Sequence[Run] = (), more: str = ""
) -> AsyncIterator[MemoryWorld]:
    """Open the servers and the workspace; the daemon does not run yet."""
    os.makedirs(folder, exist_ok=True)
    clerk = ClerkServer()
    async with TelegramServer() as telegram, OpenAIServer() as model, clerk:
        with closing(Lookout(location, folder / "workspace")) as lookout:
            world = MemoryWorld(folder, nursery, telegram, model, clerk, location, lookout, runs, more=more)
            world.write_config()
            yield world
        assert telegram.refusals == []

"""This module is the world of the crash tests: platform and model survive the daemon, which is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from agentd.transcript.records import parse_line
from agentd.transcript.view import Transcript, fold
from tests.crash.faults import Fault
from tests.crash.nursery import Child, Nursery
from tests.crash.platform import Platform, open_platform
from tests.crash.target import Plan
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer, failure

DRAFT_SECONDS = 1
"""How long the model waits for its first words to be shown."""

RECORD_SECONDS = 0.02
"""How soon it looks whether that is on record, too."""

STRAGGLER_SECONDS = 3
"""A kill at the very last step may come when all is settled already; one that has not come by then will not."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Where a run is killed: at a step of its own, or from outside in the middle of the so-manieth call of a kind."""

    at: str
    within: str = ""
    """The kind: send, edit or delete, one of the platform's `besides`, or a request to the model."""
    number: int = 0

    @classmethod
    def inside(cls, within: str, number: int) -> Kill:
        """Between a call's effect and its answer; of a request to the model: while it is being answered."""
        what = f"while the model is asked, {number}" if within == "request" else f"effect | reply of {within} {number}"
        return cls(what, within, number)


@dataclass(frozen=True, slots=True)
class Staging:
    """How a scenario's daemon is set up."""

    most_units: int | None = None
    agent: str = "collect_window_ms = 10000"
    streams: bool = True
    clock_shifts_seconds: tuple[float, ...] = ()
    """How far the clock of the first run is off, and of those after it."""
    faults: tuple[Fault, ...] = ()
    """What goes wrong below the disk, in one run."""
    faulty_run: int = 0
    replays: bool = True
    """Whether the platform delivers again what was not confirmed, if it does that at all."""


class Model(OpenAIServer):
    """A model whose every answer is unlike any other, so that two of them cannot be taken for one."""

    def __init__(self, changed: asyncio.Event, shows: Callable[[str], bool]) -> None:
        """Set `changed` at each request; go on after the first words once `shows`, asked at each change, says so."""
        super().__init__()
        self._changed = changed
        self._shows = shows
        self.words = 0
        """How many words follow in each answer: enough of them make several parts."""
        self.refuses = False
        self.open = asyncio.Event()
        """Cleared to hold back every answer."""
        self.open.set()
        self.open_midway = asyncio.Event()
        """Cleared to hold back every answer after its first words."""
        self.open_midway.set()
        self.enqueue(self._behave())

    def _behave(self) -> Behaviour:
        async def behave(call: Call) -> web.StreamResponse:
            self.enqueue(behave)
            number = len(self.requests)
            self._changed.set()
            await self.open.wait()
            if self.refuses:
                return failure(400, "This model is out of order.")
            first = f"Answer {number} to "
            more = "".join(f" word{count}" for count in range(self.words))
            text = f"{first}{call.asked.last_user_text}.{more}"
            try:
                await call.open()
                await call.say(first)
                await self._shown(first)
                await self.open_midway.wait()
                await call.say(text[len(first) :])
                return await call.finish()
            except ConnectionError:
                return call.response  # who asked was killed

        return behave

    async def _shown(self, text: str) -> None:
        """Wait for a draft, so that there is one in every run; for a time, since the run may be killed before it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAFT_SECONDS):
                while not self._shows(text):
                    self._changed.clear()
                    with suppress(TimeoutError):  # what is on record by now set no event
                        async with asyncio.timeout(RECORD_SECONDS):
                            await self._changed.wait()


@dataclass(slots=True)
class Posted:
    """What the person wrote, by the platform's id of the message."""

    messages: dict[str, str] = field(default_factory=dict)
    edits: dict[str, str] = field(default_factory=dict)


class DaemonFailed(Exception):
    """It ended by itself while it was to run; its exit code and its log say more."""


class World:
    """One workspace, through all runs of its daemon."""

    def __init__(
        self, folder: Path, nursery: Nursery, platform: Platform, staging: Staging, kills: tuple[Kill, ...]
    ) -> None:
        """Kill run after run where `kills` says; the one after them lives."""
        self.folder = folder
        self.platform = platform
        self.changed = platform.server.changed
        self.model = Model(self.changed, self._shows)
        self.posted = Posted()
        self.runs: list[Child] = []
        self.left: list[bytes] = []
        """The session's bytes as each kill left them."""
        self.seen: list[list[str]] = []
        """What the screen showed at each kill."""
        self.stopping = False
        self._nursery = nursery
        self._staging = staging
        self._kills = kills
        self._asked_before = self._signs_before = 0
        self._counts_before: dict[str, int] = {}
        self._has_failed = False

    def _shows(self, text: str) -> bool:
        """Tell whether a reply that grows is on the screen, and on record, if replies grow here."""
        ids = [message_id for message_id, shown in self.platform.screen().items() if text.strip() in shown]
        return not self._staging.streams or any(f'"message_id":"{last}"'.encode() in self.content() for last in ids)

    @property
    def channel(self) -> str:
        """The channel's name."""
        return self._nursery.channel

    @property
    def config(self) -> Path:
        """The configuration file."""
        return self.folder / "config.toml"

    @property
    def sessions(self) -> list[Path]:
        """The session files so far."""
        return sorted((self.folder / "workspace" / "sessions").glob("*.jsonl"))

    def content(self) -> bytes:
        """Return the session's bytes so far."""
        return b"".join(path.read_bytes() for path in self.sessions)

    def view(self) -> Transcript:
        """Return what the session's records mean so far."""
        return fold(parse_line(line) for line in self.content().splitlines() if line.strip())

    @property
    def asked(self) -> int:
        """Return how often the last run asked the model."""
        return len(self.model.requests) - self._asked_before

    def count(self, call: str) -> int:
        """Return how often the last run made a call of the platform's `besides`."""
        return self.platform.count(call) - self._counts_before.get(call, 0)

    def has_passed(self, step: str) -> bool:
        """Tell whether any run has passed a step."""
        return any(step in run.steps for run in self.runs)

    @property
    def has_failed_commits(self) -> bool:
        """Tell whether the disk has refused anything."""
        return any(step.startswith("failed ") for run in self.runs for step in run.steps)

    @property
    def shown(self) -> list[str]:
        """What the daemon's messages say to the person now, oldest first."""
        return list(self.platform.screen().values())

    @property
    def was_killed(self) -> bool:
        """Tell whether a run has been killed already."""
        return bool(self.left)

    def post(self, text: str, *, at: float | None = None, file: bytes | None = None) -> str:
        """Let the person write, or send a file with a text."""
        message_id = self.platform.post(text, at, file)
        self.posted.messages[message_id] = text
        return message_id

    def post_edit(self, message_id: str, text: str) -> None:
        """Let the person change it."""
        self.platform.post_edit(message_id, text)
        self.posted.edits[message_id] = text

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until a condition holds that a step, a request or an end may bring about."""
        while not holds():
            if self._has_failed:
                raise DaemonFailed
            self.changed.clear()
            await self.changed.wait()

    async def until_killed(self, times: int) -> None:
        """Wait until a run was killed for the so-manieth time."""
        await self.until(lambda: len(self.left) >= times)

    async def taken(self) -> None:
        """Wait until everything was taken in and confirmed, or a run was killed."""
        await self.until(lambda: self.was_killed or self.is_taken())

    async def settled(self) -> None:
        """Wait until nothing is left to be done: everything confirmed, recorded and delivered."""
        await self.until(self.is_settled)

    def is_settled(self) -> bool:
        """Tell whether everything is confirmed, recorded and delivered."""
        return self.is_taken() and self.view().is_idle

    def is_taken(self) -> bool:
        """Tell whether everything is confirmed and recorded."""
        if self.platform.open:
            return False
        view = self.view()
        return all(view.knows(self.platform.chat, message_id) is not None for message_id in self.posted.messages)

    def write_config(self, model_url: str) -> None:
        """Write the configuration that every run reads."""
        self.config.write_text(
            f'workspace = "{self.folder / "workspace"}"\n'
            f"[agent]\n{self._staging.agent}\n"
            f'[channels_config]\nstream = "{"edit" if self._staging.streams else "off"}"\n'
            f"[channels_config.{self.channel}]\n{self.platform.section()}\n"
            'allowed_users = ["*"]\n'
            "[gate]\nmessages_per_minute = 100000\n"  # this person types faster than any
            "[memory]\nenabled = false\n"  # its own kills are in memory_matrix.py
            f'[provider]\nkind = "openai"\nbase_url = "{model_url}"\nmodel = "test"\napi_key = "sk-planted"\n',
            encoding="utf-8",
        )

    async def keep_running(self) -> None:
        """Start the daemon, and again whenever it was killed, until it ends by itself."""
        while True:
            code = await self._run_once()
            if self.stopping:
                return
            if code != -signal.SIGKILL:
                self._has_failed = True
                self.changed.set()
                return
            self.left.append(self.content())
            self.seen.append(self.shown)
            self.changed.set()

    def is_alive(self) -> bool:
        """Tell whether the last run listens: by then it also takes signals."""
        return self.platform.signs > self._signs_before

    async def finish(self) -> None:
        """Wait until every planned kill has come, the run after the last one listens, and nothing is left to do."""
        await self.settled()
        with suppress(TimeoutError):
            async with asyncio.timeout(STRAGGLER_SECONDS):
                await self.until(lambda: len(self.left) >= len(self._kills))
        await self.until(self.is_alive)
        await self.settled()

    async def stop(self) -> int:
        """Ask the daemon to end, and return its exit code."""
        self.stopping = True
        self.runs[-1].kill(signal.SIGTERM)
        return await self.runs[-1].ended()

    def plan(self, kill_at: str | None = None) -> Plan:
        """Return how the next run differs from an ordinary one."""
        shifts = self._staging.clock_shifts_seconds
        return Plan(
            config=str(self.config),
            kill_at=kill_at,
            most_units=self._staging.most_units,
            clock_shift_seconds=shifts[len(self.runs)] if len(self.runs) < len(shifts) else 0,
            faults=self._staging.faults if len(self.runs) == self._staging.faulty_run else (),
        )

    async def _run_once(self) -> int:
        planned = self._kills[len(self.runs)] if len(self.runs) < len(self._kills) else None
        self._asked_before = len(self.model.requests)
        self._signs_before = self.platform.signs
        self._counts_before = {call: self.platform.count(call) for call in self.platform.besides}
        self._prepare(planned)
        plan = self.plan(planned.at if planned and not planned.within else None)
        child = self._nursery.start(plan, self.folder / "log", self.changed.set)
        self.runs.append(child)
        self.changed.set()
        if planned and planned.within:
            async with asyncio.TaskGroup() as tasks:
                killing = tasks.create_task(self._kill_within(planned, child), name="kill")
                code = await child.ended()
                killing.cancel()
                return code
        return await child.ended()

    def _prepare(self, planned: Kill | None) -> None:
        """Let the platform hold back the answer in whose middle the run is to be killed."""
        server = self.platform.server
        server.forget_script()
        server.held.clear()
        server.released.clear()
        if planned and planned.within not in ("", "request"):
            self.platform.hold(planned.within, planned.number)

    async def _kill_within(self, planned: Kill, child: Child) -> None:
        if planned.within == "request":
            await self.until(lambda: self.asked >= planned.number)
        else:
            await self.platform.server.held.wait()
        child.kill()
        await child.ended()
        self.platform.server.released.set()


@asynccontextmanager
async def open_world(
    folder: Path, nursery: Nursery, staging: Staging, kills: tuple[Kill, ...] = ()
) -> AsyncIterator[World]:
    """Open the servers and the workspace; the daemon does not run yet."""
    os.makedirs(folder, exist_ok=True)
    async with open_platform(nursery.channel, replays=staging.replays) as platform:
        world = World(folder, nursery, platform, staging, kills)
        async with world.model:
            world.write_config(world.model.base_url)
            yield world

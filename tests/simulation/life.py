"""This module is one life of the process: the daemon's core, nested as in `agentd.app`, until it ends or dies."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable, Iterable, Iterator, MutableMapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import structlog

from agentd.admission.settings import LimitsSettings
from agentd.admission.spending import Spending
from agentd.context.calibration import Calibration
from agentd.context.tokens import MOST_CHARACTERS_PER_TOKEN
from agentd.conversation.router import Drain, Router, open_router
from agentd.conversation.wiring import Wiring
from agentd.delivery.front import build_front
from agentd.errors import StorageError
from agentd.transcript.enclosures import Enclosures
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.store import SessionStore, open_store_on
from agentd.transcript.uptime import Uptime
from channels.base import Accept
from tests.fakes.aliases import FakeAliases
from tests.simulation.dice import dice
from tests.simulation.disk import FOLDER
from tests.simulation.kept import KeptMarks
from tests.simulation.line import Line
from tests.simulation.loop import Died, VirtualLoop, drain
from tests.simulation.model import Model, Moods
from tests.simulation.scribe import Scribe
from tests.simulation.script import LifeSpan
from tests.simulation.system import SimulatedSystem
from tests.simulation.world import World

__all__ = ["Life", "Parts"]

PATIENCE_SECONDS = 700.0
"""More than twice what a turn may take: in a healthy life everything is done by then."""

T = TypeVar("T")


class Parts:
    """What a life is made of; a planted bug replaces one."""

    def system(self, life: Life) -> SimulatedSystem:
        """Return the operating system."""
        return SimulatedSystem(life.world.storage, life, life.world.spoiled.add)

    def store(self, store: SessionStore) -> SessionStore:
        """Return the store that the daemon uses."""
        return store

    def accept(self, router: Router, tasks: asyncio.TaskGroup) -> Accept:
        """Return what the channel offers its messages to."""
        del tasks
        return router.accept


class Life:
    """A process, and what it sees of the world."""

    def __init__(self, world: World, span: LifeSpan | None, parts: Parts) -> None:
        """Live as long as `span` says; None: healthily, until nothing is left to do."""
        self.world = world
        self.is_dead = False
        self._span = span
        self._parts = parts
        self._steps = 0
        seed = f"life {world.life}"
        self._loop = VirtualLoop(world.now, dice(world.script.seed, seed), world.script.job_seconds)
        self._loop.set_exception_handler(self._handle)
        self._order = dice(world.script.seed, f"{seed} order")
        self._line: Line | None = None

    def run(self) -> bool:
        """Live; tell whether the process died."""
        world = self.world
        self._schedule()
        log = structlog.get_config()
        structlog.configure(processors=[self._log], wrapper_class=structlog.make_filtering_bound_logger(30))
        try:
            self._loop.run_until_complete(self._live())
        except Died:
            world.note("life", f"has died at step {self._steps}")
            return True
        except ExceptionGroup as group:
            world.fail(f"the daemon broke: {'; '.join(map(_place, _leaves(group)))}")
            return True
        else:
            world.note("life", f"has ended in order after {self._steps} steps")
            return False
        finally:
            world.now = self._loop.time()
            self.is_dead = True
            drain(self._loop)
            structlog.configure(**log)

    def alive(self) -> None:
        """Raise Died if this life is over."""
        if self.is_dead:
            raise Died
        self.world.now = self._loop.time()

    def step(self, what: str) -> None:
        """Pass one moment at which a process may die, before the effect that it names."""
        self.alive()
        self._steps += 1
        if self._span is not None and self._steps == self._span.dies_at:
            self.note("dies", f"before: {what}")
            self.is_dead = self._loop.is_dead = True
            raise Died

    def note(self, what: str, *details: object) -> None:
        """Add a line to the playbook, unless this life is over."""
        if not self.is_dead:
            self.world.now = self._loop.time()
            self.world.note(what, *details)

    async def _live(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(self._serve(), name="daemon")
            asking = tasks.create_task(self._until_asked(), name="signals")
            await asyncio.wait([serving, asking], return_when=asyncio.FIRST_COMPLETED)
            serving.cancel()
            asking.cancel()

    async def _until_asked(self) -> None:
        """Wait for the end: so many seconds, or in the last life until all is done."""
        if self._span is not None:
            await asyncio.sleep(self._span.seconds)
        else:
            while (at := self.world.next_deed_at()) is not None:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(max(at - self._loop.time(), 0.001))
            await asyncio.sleep(PATIENCE_SECONDS)
            if self._line is not None and self._line.unsettled:
                self.world.fail(f"{self._line.unsettled} receipts are not settled, though all is well")
        self.note("life", "is asked to end")

    async def _serve(self) -> None:
        world, script = self.world, self.world.script
        disk = FileDisk(_InLine(self._order), self._parts.system(self))
        most = script.settings.max_context_tokens * MOST_CHARACTERS_PER_TOKEN
        chats = dict.fromkeys(person.chat for person in script.people)
        self._line = Line(world.platform, self, world.watch, world.life, chats)
        insisted: asyncio.Future[None] = self._loop.create_future()
        try:
            marks = KeptMarks(world.kept, self)
            async with open_store_on(disk, FOLDER, world.clock, most, marks) as store:
                wiring = self._wire(self._parts.store(store), self._line)
                async with open_router(wiring, script.scope, Drain(script.drain_seconds, insisted)) as router:
                    await router.recover()
                    async with asyncio.TaskGroup() as tasks:
                        tasks.create_task(store.keep_marks(), name="marks")
                        await self._line.run(self._parts.accept(router, tasks), partial(router.places, self._line.name))
        except* StorageError as group:
            faults = "; ".join(map(repr, _leaves(group)))
            self.note("life", "the daemon ends with 1:", faults)
            if not world.spoiled:
                world.fail(f"the daemon ended, though the disk is well: {faults}")

    def _wire(self, store: SessionStore, line: Line) -> Wiring:
        world, script = self.world, self.world.script
        moods = script.moods if self._span else Moods(most_words=30)
        model = Model(self, world.model_dice, world.numbers, moods)
        model.asked = world.is_asked
        return Wiring(
            settings=script.settings,
            store=store,
            enclosures=Enclosures(None),
            provider=model,
            background=Scribe(self, world.model_dice, moods),
            front=build_front({line.name: line}, FakeAliases(), self._loop.time),
            max_output_tokens=300,
            temperature=0.7,
            streams=script.streams,
            stale_after_minutes=script.stale_after_minutes,
            slots=asyncio.Semaphore(script.slots),
            background_slots=asyncio.Semaphore(1),
            calibration=Calibration({}),
            spending=Spending(LimitsSettings(), {}, world.clock),
            count_compaction=lambda outcome: None,
            clock=world.clock,
            monotonic=self._loop.time,
            uptime=Uptime(f"boot {world.boots}", self._loop.time),
            new_id=lambda: f"t{next(world.numbers)}",
        )

    def _schedule(self) -> None:
        """Let the script go on at its next moment."""
        at = self.world.next_deed_at()
        if at is not None:
            self._loop.call_at(max(at, self._loop.time()), self._act)

    def _act(self) -> None:
        if self.is_dead:
            return
        self.world.now = self._loop.time()
        self.world.act()
        self._schedule()

    def _log(self, _logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
        """Keep what the daemon logs from `warning` on; a crash of a turn is a bug of the daemon."""
        self.note("log", *(f"{key}={value}" for key, value in event.items() if key != "exc_info"))
        if event["event"] == "turn_crashed" and not self.is_dead:
            self.world.fail("a turn crashed")
        raise structlog.DropEvent

    def _handle(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what nobody caught."""
        fault = context.get("exception")
        if not self.is_dead and not isinstance(fault, Died):
            self.world.fail(f"nobody caught: {context['message']}: {fault!r}")


def _leaves(group: BaseExceptionGroup[Any]) -> Iterator[BaseException]:
    for fault in group.exceptions:
        if isinstance(fault, BaseExceptionGroup):
            yield from _leaves(fault)
        else:
            yield fault


def _place(fault: BaseException) -> str:
    frames = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(fault.__traceback__)]
    return f"{fault!r} at {' < '.join(reversed(frames[-4:]))}"


class _InLine(Executor):
    """Runs what it is given at once; of what it is given together any may be first."""

    def __init__(self, order: Random) -> None:
        """Draw the order."""
        self._order = order

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
    ) -> Iterator[T]:
        """Call a function for each."""
        del timeout, chunksize
        calls = list(enumerate(zip(*iterables, strict=True)))
        self._order.shuffle(calls)
        results = {number: fn(*arguments) for number, arguments in calls}
        return iter([result for _, result in sorted(results.items(), key=lambda item: item[0])])

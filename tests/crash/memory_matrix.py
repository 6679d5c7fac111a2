"""This module runs the kill matrix of consolidation: where the daemon is killed, how the model behaves, the result.

    python -m tests.crash.memory_matrix [--on files|server] [ROW ...]

runs all rows on both, and prints a table. With every test some of them run: each point on one of the two at least, each
point of what is stored on both, each mood on one (`EVERY_STEP=1` in the environment: all).
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.contract.prepared import prepared_database
from tests.crash.memory_looks import Location
from tests.crash.memory_world import SAID, DaemonFailed, MemoryWorld, Run, open_memory_world
from tests.crash.nursery import Nursery, open_nursery
from tests.platforms.postgres_server import MISSING, find_programs, running_server

__all__ = ["FINISHING", "ROWS", "STORES", "Result", "Row", "revive", "run_rows"]

LIMIT_SECONDS = 30
"""What is not learnt after so long is lost."""

AT_ONCE = 4
"""Rows that run side by side: they mostly wait."""

FEW, MANY = "[tasks]\nmax_attempts = 2\n", "[tasks]\nmax_attempts = 50\n"
TRIES = 4
"""So often the provider's own retry asks in one attempt of a task."""

SESSIONS = 2
"""They are learnt from side by side: with so many times as many refusals, one attempt fails at least."""

RUBBISH = "I am sorry, but as a model I would rather talk about the weather."
SLOW_SECONDS = 0.004

REFUSALS = 5

WILLING, HANGING, SLOW, FAILING, RUBBISHY, DYING = "willing", "hanging", "slow", "failing", "rubbish", "dying"
WORSENING = "hanging, then failing"
"""How the model is: until the last kill it hangs half-way, and then refuses so many attempts; it speaks in pieces; one
attempt, or every attempt fails; what it says is of no use."""

STORES = {
    "files": ("memory.store_sqlite.store:SqliteMemory", "memory.store_sqlite.writing"),
    "server": ("memory.store_postgres.store:PostgresMemory", "memory.store_postgres.writing"),
}
"""Of each back end the store, and what writes in its transaction."""

FILES, SERVER = (("files",), ("server",))
BOTH = FILES + SERVER


@dataclass(frozen=True, slots=True)
class Row:
    """Where run after run is killed, and how the model is."""

    name: str
    runs: tuple[Run, ...]
    mood: str = WILLING
    brief: tuple[str, ...] = ()
    """The back ends on which it runs with every test."""

    @property
    def label(self) -> str:
        """Return its name with the model's mood."""
        return self.name if self.mood == WILLING else f"{self.name}, the model {self.mood}"

    def on(self, back_end: str) -> Row:
        """Return it with the names of a back end in its points."""
        store, writing = STORES[back_end]

        def named(run: Run) -> Run:
            return replace(run, call=run.call and run.call.replace("STORE", store).replace("WRITING", writing))

        return replace(self, runs=tuple(map(named, self.runs)))


@dataclass(frozen=True, slots=True)
class Result:
    """How a row went."""

    row: Row
    back_end: str
    faults: tuple[str, ...]
    asked: int
    """How often the clerk was asked about any of it."""
    seconds: float
    log: str


def _calls(point: str, number: int) -> tuple[Run, Run]:
    return Run(f"{point}:before:{number}"), Run(f"{point}:after:{number}")


LATE, ASK, FINISH = "agentd.tasks.late:_Late.defer", "agentd.tasks.asking:Asker._ask", "JobManager.finish_job"
FINISHING = f"procrastinate.manager:{FINISH}"
RETRYING = "procrastinate.manager:JobManager.retry_job"
LOOKING = "agentd.conversation.learning:Learning.look"

Brief = tuple[tuple[str, ...], tuple[str, ...]]
"""Where the kill before a call runs with every test, and where that after it."""


def _each(name: str, point: str, number: int, brief: Brief = ((), ()), mood: str = WILLING) -> Iterator[Row]:
    for when, run, places in zip(("before", "after"), _calls(point, number), brief, strict=True):
        yield Row(f"{when} {name} {number}", (run,), mood, places)


def _rows() -> Iterator[Row]:
    for number in range(1, len(SAID) + 1):

        def brief(chosen: int, before: tuple[str, ...], after: tuple[str, ...], at: int = number) -> Brief:
            return (before, after) if at == chosen else ((), ())

        yield from _each("a task is queued", LATE, number, brief(4, FILES, SERVER))
        yield from _each("memory is asked whether it knows", "STORE.knows", number, brief(1, FILES, SERVER))
        yield from _each("the model is asked", ASK, number, brief(2, FILES, SERVER))
        yield from _each("it is written down", "STORE.learn", number, brief(2, SERVER, FILES))
        yield from _each("the day, in the transaction", "WRITING:_add_daily", number, brief(3, FILES, SERVER))
        yield from _each("the facts, in it", "WRITING:_keep_facts", number, brief(4, SERVER, FILES))
        commit = Run(f"WRITING:LearnOutcome:before:{number}")
        yield Row(f"before the commit {number}", (commit,), brief=FILES if number == 1 else ())
        yield from _each("the task is done", FINISHING, number, brief(2, SERVER, FILES))
        for when, places in zip(("before", "after"), brief(4, FILES, SERVER), strict=True):
            step = _numbered(f"{when} delivery", number)
            yield Row(f"{when} the reply {number} is on disk whole", (Run(step=step),), brief=places)
        look = Run(f"{LOOKING}:before:{number}")
        yield Row(f"before a look for what is new {number}", (look,), brief=FILES if number == 4 else ())
    yield from _again()
    for mood in (HANGING, WORSENING, SLOW, FAILING, RUBBISHY, DYING):
        yield from _in_mood(mood)


def _again() -> Iterator[Row]:
    """Yield rows of several kills."""
    unqueued = Run(step="after delivery (4)")
    missing = Run("agentd.conversation.router:Router.learn_missed:before:1")
    gap = Run("agentd.conversation.learning:Learner.queue_all:before:1")
    yield Row("the reply on disk; before what was missed is looked for", (unqueued, missing), brief=FILES)
    yield Row("the reply on disk; before a session is looked at", (unqueued, gap), brief=SERVER)
    yield Row("the reply on disk; before what was missed is queued", (unqueued, Run(f"{LATE}:before:1")))
    yield Row("the reply on disk; after what was missed was queued", (unqueued, Run(f"{LATE}:after:1")))
    yield Row("before the commit, three times", (Run("WRITING:LearnOutcome:before:1"),) * 3, brief=SERVER)
    yield Row("written down but not done, three times", (Run(f"{FINISHING}:before:1"),) * 3)


def _in_mood(mood: str) -> Iterator[Row]:
    if mood == WORSENING:
        yield Row("while it is asked for two side by side", (Run(outside="two"),), mood, BOTH)
        return
    yield Row("while it is asked", (Run(outside="asked"),), mood, SERVER if mood == HANGING else ())
    queued = FILES if mood in (HANGING, RUBBISHY) else ()
    yield Row("after a task is queued 4", (Run(f"{LATE}:after:4"),), mood, queued)
    yield Row("before the model is asked 1", (Run(f"{ASK}:before:1"),), mood)
    if mood != DYING:
        half = {HANGING: FILES, SLOW: SERVER}.get(mood, ())
        yield Row("when half was said", (Run(outside="half"),), mood, half)
    if mood == HANGING:
        return
    yield from _each("the task is done", FINISHING, 1, mood=mood)
    if mood in (FAILING, DYING):
        back: Brief = (FILES, SERVER) if mood == FAILING else ((), ())
        yield from _each("a failed attempt is put back", RETRYING, 1, back, mood)
        yield Row("while it is tried again", (Run(f"{ASK}:before:2"),), mood, BOTH if mood == DYING else ())
    if mood == DYING:
        return
    yield from _each("it is written down", "STORE.learn", 1, ((), SERVER if mood == RUBBISHY else ()), mood)
    yield Row("before the commit 2", (Run("WRITING:LearnOutcome:before:2"),), mood)


def _numbered(step: str, number: int) -> str:
    return step if number == 1 else f"{step} ({number})"


ROWS = tuple(_rows())


async def run_rows(
    rows: Sequence[Row], back_end: str, new_place: Callable[[], Awaitable[Location]], folder: Path
) -> list[Result]:
    """Run rows side by side."""
    results: list[Result] = []
    waiting = iter(list(enumerate(rows)))
    async with open_nursery() as nursery:

        async def work() -> None:
            for index, row in waiting:
                place = await new_place()
                results.append(await run_row(row.on(back_end), back_end, place, nursery, folder / str(index)))

        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(work(), name=f"rows {number}")
    return results


async def in_workspace() -> Location:
    """Return where the files are without another place."""
    return None


async def run_row(row: Row, back_end: str, place: Location, nursery: Nursery, folder: Path) -> Result:
    """Talk, kill, start again until nothing waits, and judge."""
    began, faults, more = time.monotonic(), list[str](), {DYING: FEW, WORSENING: MANY}.get(row.mood, "")
    async with open_memory_world(folder, nursery, place, row.runs, more) as world:
        _set_mood(world, row)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(world.keep_running(), name="daemon")
            try:
                async with asyncio.timeout(LIMIT_SECONDS):
                    await world.converse()
                    await (_die_and_revive(world) if row.mood == DYING else world.at_rest())
            except TimeoutError:
                faults.append(f"not at rest after {world.kills} kills: {world.look()}")
            except DaemonFailed:
                faults.append(f"it ended by itself with {world.children[-1].code}")
            faults += [f"exit code {code}" for code in await world.stop() if code]
        faults += ["the model has not failed as often as it was to"] if world.clerk.failures else []
        outcome = await world.outcome()
        faults += outcome.faults(is_rubbish=row.mood == RUBBISHY)
        faults += [f"the log has {words!r}" for words in world.leaked()]
    log = (folder / "log").read_text("utf-8")
    asked = len(world.clerk.asked_of)
    return Result(row, back_end, tuple(faults), asked, time.monotonic() - began, log)


def _set_mood(world: MemoryWorld, row: Row) -> None:
    clerk = world.clerk
    if row.mood in (HANGING, WORSENING):
        gate = clerk.gate = asyncio.Event()

        def go_on(kills: int) -> None:
            if kills == len(row.runs):
                clerk.failures = REFUSALS if row.mood == WORSENING else 0
                gate.set()

        world.on_killed = go_on
    elif row.mood == SLOW:
        clerk.piece_characters, clerk.piece_delay_seconds = 8, SLOW_SECONDS
    elif row.mood == FAILING:
        clerk.overloads = SESSIONS * TRIES
    elif row.mood == RUBBISHY:
        clerk.answer = RUBBISH
    elif row.mood == DYING:
        clerk.overloads = sys.maxsize


async def _die_and_revive(world: MemoryWorld) -> None:
    """Let every task die, once for each range; then, with a model that is willing again, revive them by hand."""
    await world.at_rest(dead=len(SAID))
    world.clerk.overloads = 0
    await revive(world)
    await world.at_rest()


async def revive(world: MemoryWorld) -> None:
    """Revive every dead task, as a person does."""
    for number in await _dead_by_command(world):
        code = await world.nursery.run(
            world.folder / "retry-log", "--config", str(world.config), "tasks", "retry", str(number)
        )
        assert code == 0


async def _dead_by_command(world: MemoryWorld) -> list[int]:
    listing = world.folder / "dead-log"
    code = await world.nursery.run(listing, "--config", str(world.config), "tasks", "dead")
    assert code == 0
    return [
        int(number) for number in re.findall(r"^(\d+)  failed  consolidate", listing.read_text("utf-8"), re.MULTILINE)
    ]


def as_table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a Markdown table: each row, with how often the model was asked, and the outcome, on each."""
    back_ends = tuple(dict.fromkeys(result.back_end for result in results))
    yield f"| killed | {' | '.join(f'{name}: asked | outcome' for name in back_ends)} |"
    yield f"|---|{'---:|---|' * len(back_ends)}"
    for label in dict.fromkeys(result.row.label for result in results):
        of = {result.back_end: result for result in results if result.row.label == label}
        cells = [f"{of[name].asked} | {'; '.join(of[name].faults) or 'once'}" for name in back_ends if name in of]
        yield f"| {label} | {' | '.join(cells)} |"


async def _print_all(names: Sequence[str], back_ends: Sequence[str], *, is_brief: bool) -> int:
    rows = [row for row in ROWS if not names or row.label in names]
    results: list[Result] = []

    async def run_on(back_end: str, new_place: Callable[[], Awaitable[Location]]) -> None:
        chosen = [row for row in rows if not is_brief or back_end in row.brief]
        results.extend(await run_rows(chosen, back_end, new_place, Path(folder) / back_end))

    programs = find_programs()
    with TemporaryDirectory() as folder:
        if "files" in back_ends:
            await run_on("files", in_workspace)
        if "server" in back_ends and programs is None:
            sys.stderr.write(f"{MISSING}\n")
        elif "server" in back_ends and programs is not None:
            with running_server(programs) as server:
                await run_on("server", partial(prepared_database, server))
    sys.stderr.writelines(f"{result.seconds:5.1f} {result.back_end} {result.row.label}\n" for result in results)
    results.sort(key=lambda result: rows.index(next(row for row in rows if row.label == result.row.label)))
    sys.stdout.writelines(f"{line}\n" for line in as_table(results))
    bad = [result for result in results if result.faults]
    for result in bad:
        sys.stderr.write(f"== {result.row.label} ({result.back_end}): {result.faults}\n{result.log}\n")
    spent = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    sys.stderr.write(f"{len(results)} rows, {len(bad)} of them bad, {spent:.0f} s of processor so far\n")
    return 1 if bad else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="The matrix of what is learnt.")
    parser.add_argument("--on", choices=tuple(STORES), action="append")
    parser.add_argument("--brief", action="store_true", help="only the rows that run with every test")
    parser.add_argument("rows", nargs="*", help="only these")
    options = parser.parse_args()
    sys.exit(asyncio.run(_print_all(options.rows, options.on or tuple(STORES), is_brief=options.brief)))

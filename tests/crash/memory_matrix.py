"""The rows of what is learnt: where the daemon is killed, how the model is meanwhile, and how it went.

    python -m tests.crash.memory_matrix [--on files|server] [ROW ...]

runs all rows on both, and prints a table.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.crash.memory_looks import Location
from tests.crash.memory_world import SAID, DaemonFailed, MemoryWorld, Run, open_memory_world
from tests.crash.nursery import Nursery, open_nursery
from tests.platforms.postgres_server import MISSING, find_programs, running_server

__all__ = ["ROWS", "Result", "Row", "run_rows"]

LIMIT_SECONDS = 30
"""What is not learnt after so long is lost."""

AT_ONCE = 4
"""Rows that run side by side: they mostly wait."""

FEW = "[tasks]\nmax_attempts = 2\n"
TRIES = 4
"""So often the provider's own retry asks in one attempt of a task."""

SESSIONS = 2
"""They are learnt from side by side: with so many times as many refusals, one attempt fails at least."""

RUBBISH = "I am sorry, but as a model I would rather talk about the weather."
SLOW_SECONDS = 0.004

WILLING, HANGING, SLOW, FAILING, RUBBISHY, DYING = "willing", "hanging", "slow", "failing", "rubbish", "dying"
"""How the model is: until the last kill it hangs half-way; it speaks in pieces; one attempt, or every attempt fails;
what it says is of no use."""

STORES = {
    "files": ("memory.store_sqlite.store:SqliteMemory", "memory.store_sqlite.writing"),
    "server": ("memory.store_postgres.store:PostgresMemory", "memory.store_postgres.writing"),
}
"""Of each back end the store, and what writes in its transaction."""


@dataclass(frozen=True, slots=True)
class Row:
    """Where run after run is killed, and how the model is."""

    name: str
    runs: tuple[Run, ...]
    mood: str = WILLING
    is_brief: bool = False
    """Whether it runs with every test."""

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


BOTH = ("before", "after")

LATE, ASK, FINISH = "agentd.tasks.late:_Late.defer", "agentd.tasks.asking:Asker._ask", "JobManager.finish_job"
FINISHING = f"procrastinate.manager:{FINISH}"
RETRYING = "procrastinate.manager:JobManager.retry_job"


def _each(name: str, point: str, number: int, brief: Sequence[str] = (), mood: str = WILLING) -> Iterator[Row]:
    for when, run in zip(("before", "after"), _calls(point, number), strict=True):
        yield Row(f"{when} {name} {number}", (run,), mood, is_brief=when in brief)


def _rows() -> Iterator[Row]:
    for number in range(1, len(SAID) + 1):
        yield from _each("a task is queued", LATE, number, BOTH if number == 4 else ())
        yield from _each("memory is asked whether it knows", "STORE.knows", number, ("after",) if number == 1 else ())
        yield from _each("the model is asked", ASK, number, BOTH if number == 2 else ())
        yield from _each("it is written down", "STORE.learn", number, BOTH if number == 2 else ())
        yield from _each("the day, in the transaction", "WRITING:_add_daily", number, ("after",) if number == 3 else ())
        yield from _each("the facts, in it", "WRITING:_keep_facts", number, ("after",) if number == 4 else ())
        yield Row(f"before the commit {number}", (Run(f"WRITING:Learnt:before:{number}"),), is_brief=number == 1)
        yield from _each("the task is done", FINISHING, number, BOTH if number == 2 else ())
        for when in BOTH:
            step = _numbered(f"{when} delivery", number)
            yield Row(f"{when} the reply {number} is on disk whole", (Run(step=step),), is_brief=number == 4)
        yield Row(f"before a look for what is new {number}", (Run(f"{LOOKING}:before:{number}"),), is_brief=number == 4)
    yield from _again()
    for mood in (HANGING, SLOW, FAILING, RUBBISHY, DYING):
        yield from _in_mood(mood)


LOOKING = "agentd.conversation.learning:Learning.look"


def _again() -> Iterator[Row]:
    """Yield rows of several kills."""
    unqueued = Run(step="after delivery (4)")
    missing = "agentd.conversation.router:Router.learn_missed"
    gap = "agentd.conversation.learning:Learner.queue_all"
    yield Row("the reply on disk; before what was missed is looked for", (unqueued, Run(f"{missing}:before:1")))
    yield Row("the reply on disk; before a session is looked at", (unqueued, Run(f"{gap}:before:1")), is_brief=True)
    yield Row("the reply on disk; before what was missed is queued", (unqueued, Run(f"{LATE}:before:1")))
    yield Row("the reply on disk; after what was missed was queued", (unqueued, Run(f"{LATE}:after:1")))
    yield Row("before the commit, three times", (Run("WRITING:Learnt:before:1"),) * 3, is_brief=True)
    yield Row("written down but not done, three times", (Run(f"{FINISHING}:before:1"),) * 3)


def _in_mood(mood: str) -> Iterator[Row]:
    yield Row("while it is asked", (Run(outside="asked"),), mood, is_brief=mood == HANGING)
    yield Row("after a task is queued 4", (Run(f"{LATE}:after:4"),), mood, is_brief=mood in (HANGING, RUBBISHY))
    yield Row("before the model is asked 1", (Run(f"{ASK}:before:1"),), mood)
    if mood != DYING:
        yield Row("when half was said", (Run(outside="half"),), mood, is_brief=mood in (HANGING, SLOW))
    if mood == HANGING:
        return
    yield from _each("the task is done", FINISHING, 1, (), mood)
    if mood in (FAILING, DYING):
        yield from _each("a failed attempt is put back", RETRYING, 1, BOTH if mood == FAILING else (), mood)
        yield Row("while it is tried again", (Run(f"{ASK}:before:2"),), mood, is_brief=mood == DYING)
    if mood == DYING:
        return
    yield from _each("it is written down", "STORE.learn", 1, ("after",) if mood == RUBBISHY else (), mood)
    yield Row("before the commit 2", (Run("WRITING:Learnt:before:2"),), mood)


def _numbered(step: str, number: int) -> str:
    return step if number == 1 else f"{step} ({number})"


ROWS = tuple(_rows())


async def run_rows(rows: Sequence[Row], back_end: str, new_place: Callable[[], Location], folder: Path) -> list[Result]:
    """Run rows side by side."""
    results: list[Result] = []
    waiting = iter(list(enumerate(rows)))
    async with open_nursery() as nursery:

        async def work() -> None:
            for index, row in waiting:
                results.append(await run_row(row.on(back_end), back_end, new_place(), nursery, folder / str(index)))

        async with asyncio.TaskGroup() as tasks:
            for number in range(AT_ONCE):
                tasks.create_task(work(), name=f"rows {number}")
    return results


async def run_row(row: Row, back_end: str, place: Location, nursery: Nursery, folder: Path) -> Result:
    """Talk, kill, start again until nothing waits, and judge."""
    began, faults, more = time.monotonic(), list[str](), FEW if row.mood == DYING else ""
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
        outcome = await world.outcome()
        faults += outcome.faults(is_rubbish=row.mood == RUBBISHY)
        faults += [f"the log has {words!r}" for words in world.leaked()]
    log = (folder / "log").read_text("utf-8")
    asked = len(world.clerk.asked_of)
    return Result(row, back_end, tuple(faults), asked, time.monotonic() - began, log)


def _set_mood(world: MemoryWorld, row: Row) -> None:
    clerk = world.clerk
    if row.mood == HANGING:
        gate = clerk.gate = asyncio.Event()
        world.on_killed = lambda kills: gate.set() if kills == len(row.runs) else None
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
    for number in await _dead_by_command(world):
        code = await world.nursery.run(
            world.folder / "retry-log", "--config", str(world.config), "tasks", "retry", str(number)
        )
        assert code == 0
    await world.at_rest()


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
    rows = [row for row in ROWS if (not names or row.label in names) and (row.is_brief or not is_brief)]
    results: list[Result] = []
    programs = find_programs()
    with TemporaryDirectory() as folder:
        if "files" in back_ends:
            results += await run_rows(rows, "files", lambda: None, Path(folder) / "files")
        if "server" in back_ends and programs is None:
            sys.stderr.write(f"{MISSING}\n")
        elif "server" in back_ends and programs is not None:
            with running_server(programs) as server:
                results += await run_rows(rows, "server", server.new_database, Path(folder) / "server")
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

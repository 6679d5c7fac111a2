"""These tests check what every task queue promises: an SQLite file, a PostgreSQL, and procrastinate's in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from procrastinate import App
from structlog.testing import capture_logs

from agentd.errors import AgentdError
from agentd.tasks import own_queries
from agentd.tasks.ledger import Ledger
from agentd.tasks.queue import Args, Cleared, Gauges, Leaving, Order, TaskFault, TaskPostponed
from agentd.tasks.timing import QueueTiming
from tests.contract.task_stands import (
    QUICK,
    WORDS,
    Log,
    MemoryStand,
    Stand,
    now,
    postgres,
    stand,
    until,
    until_dead,
    until_empty,
)

__all__ = ["postgres", "stand"]


def order(task: str, n: object, session: str | None = None, **more: str | float) -> Order:
    return Order(task, {"n": n}, session, **more)  # type: ignore[arg-type, dict-item]


async def test_a_task_is_done_with_its_words_and_nothing_of_it_is_left(stand: Stand) -> None:
    log = Log()
    async with stand.work(log) as queue:
        taken = await queue.defer(order("note", WORDS))
        await until(lambda: bool(log.done))
        await until_empty(queue)

    assert taken
    assert log.done == [WORDS]


async def test_a_sessions_tasks_are_done_one_at_a_time_in_order_and_others_beside_them(stand: Stand) -> None:
    log = Log()
    async with stand.work(log, concurrency=3) as queue:
        for n in range(4):
            await queue.defer(order("wait", n, "one"))
        await queue.defer(order("wait", 4, "two"))
        await until(lambda: len(log.begun) == 2)
        begun = list(log.begun)
        log.gate.set()
        await until(lambda: len(log.done) == 5)

    assert sorted(begun) == [0, 4]
    assert [n for n in log.done if n < 4] == [0, 1, 2, 3]


async def test_no_more_are_done_at_once_than_allowed(stand: Stand) -> None:
    log = Log()
    async with stand.work(log, concurrency=2) as queue:
        for n in range(5):
            await queue.defer(order("wait", n, f"session {n}"))
        await until(lambda: len(log.begun) == 2)
        log.gate.set()
        await until(lambda: len(log.done) == 5)

    assert log.most_at_once == 2


async def test_a_task_that_fails_is_tried_until_it_is_dead_and_again_when_somebody_says_so(stand: Stand) -> None:
    log = Log()
    log.faults = [ValueError(WORDS), ValueError(WORDS), TaskFault("the provider is gone")]
    # On a slow machine what has just failed would be taken for forgotten by sweeps that come every 50 ms.
    timing = replace(QUICK, pause_seconds=log.pause, sweep_seconds=5)
    async with stand.work(log, timing, max_attempts=3) as queue:
        with capture_logs() as logs:
            await queue.defer(order("fail", WORDS, "one"))
            dead = await until_dead(queue)
        with pytest.raises(AgentdError, match="there is no dead task 99"):
            await queue.retry(99)
        await queue.retry(dead[0].id)
        await until(lambda: bool(log.done))
        await until_empty(queue)

    [entry] = dead
    assert (entry.task, entry.session, entry.state, entry.attempts) == ("fail", "one", "failed", 3)
    assert entry.error == "the provider is gone"
    assert log.pauses == [1, 2]
    assert [said["event"] for said in logs] == ["task_failed", "task_failed", "task_dead"]
    assert "own words" not in str(logs)
    assert "ValueError" in str(logs)
    assert log.done == [WORDS]


async def test_tasks_about_a_message_are_told_by_the_range_in_their_words(stand: Stand) -> None:
    log = Log()
    async with stand.work(log, concurrency=1) as queue:
        for session, first, last in (("one", 3, 5), ("one", 6, 6), ("two", 3, 5)):
            await queue.defer(Order("wait", {"n": WORDS, "first": first, "last": last}, session))
        await until(lambda: bool(log.begun))
        found = [[entry.id for entry in await queue.about(*asked)] for asked in (("one", 4), ("one", 6), ("two", 6))]
        log.gate.set()
        await until(lambda: len(log.done) == 3)

    assert found == [[1], [2], []]


async def test_what_is_wanted_once_is_refused_only_while_one_waits_and_may_fail_meanwhile(stand: Stand) -> None:
    log = Log()
    log.faults = [ValueError()]
    async with stand.work(log, concurrency=1) as queue:
        await queue.defer(order("wait", 0))
        await until(lambda: log.begun == [0])
        taken = [await queue.defer(order("fail", n, once="the same")) for n in (1, 2)]
        log.gate.set()
        await until(lambda: 1 in log.done)
        again = await queue.defer(order("fail", 3, once="the same"))
        await until(lambda: 3 in log.done)

    assert (taken, again) == ([True, False], True)
    assert log.done == [0, 1, 3]


async def test_a_task_that_fails_while_its_like_waits_is_tried_again(stand: Stand) -> None:
    log = Log()
    log.faults = [ValueError()]
    async with stand.work(log, concurrency=1) as queue:
        await queue.defer(order("wait_and_fail", 1, once="the same"))
        await until(lambda: log.begun == [1])
        await queue.defer(order("wait_and_fail", 2, once="the same"))
        with capture_logs() as logs:
            log.gate.set()
            await until(lambda: len(log.done) == 2)

    assert sorted(log.done) == [1, 2]
    assert [said["event"] for said in logs] == ["task_failed"]


async def test_a_sessions_task_that_is_under_way_is_not_taken_once_more_and_one_of_nobodys_is(stand: Stand) -> None:
    log = Log()
    async with stand.work(log, concurrency=2) as queue:
        await queue.defer(order("wait", 1, "one", once="a session's"))
        await queue.defer(order("wait", 2, once="nobody's"))
        await until(lambda: len(log.begun) == 2)
        like = await queue.defer(order("wait", 1, "one", once="a session's"))
        other = await queue.defer(order("wait", 3, "one", once="the session's other"))
        unlike = await queue.defer(order("wait", 2, once="nobody's"))
        log.gate.set()
        await until_empty(queue)

    assert (like, other, unlike) == (False, True, True)
    assert sorted(log.done) == [1, 2, 2, 3]


async def test_a_sessions_task_that_is_to_be_tried_again_is_not_taken_once_more(stand: Stand) -> None:
    log = Log(faults=[ValueError()])
    timing = replace(QUICK, pause_seconds=lambda failures: 3600.0)
    async with stand.work(log, timing) as queue:
        await queue.defer(order("fail", 1, "one", once="the same"))
        await until(lambda: log.begun == [1])
        async with asyncio.timeout(20):
            while [entry.state for entry in await queue.entries()] != ["todo"]:  # noqa: ASYNC110 - a queue has no event
                await asyncio.sleep(0.005)
        again = await queue.defer(order("fail", 1, "one", once="the same"))
        entries = await queue.entries()

    assert not again
    assert len(entries) == 1


async def test_what_is_dead_is_not_taken_once_more_by_itself(stand: Stand) -> None:
    log = Log(faults=[ValueError(), ValueError()])
    async with stand.work(log, max_attempts=1) as queue:
        first = await queue.defer(replace(order("fail", 1, "one"), once="1"))
        [dead] = await until_dead(queue)
        same = await queue.defer(replace(order("fail", 1, "one"), once="1"))
        other = await queue.defer(replace(order("note", 2, "one"), once="2"))
        await until(lambda: log.done == [2])
        await queue.retry(dead.id)
        await until(lambda: len(log.begun) == 3)

    assert (first, same, other) == (True, False, True)


async def test_a_retry_is_not_overtaken_by_its_sessions_next(stand: Stand) -> None:
    if isinstance(stand, MemoryStand):
        pytest.skip("procrastinate's own in memory looks at running jobs of a lock only")
    log = Log()
    log.faults = [ValueError()]
    timing = replace(QUICK, pause_seconds=lambda failures: 0.2)
    async with stand.work(log, timing) as queue:
        await queue.defer(order("fail", 1, "one"))
        await queue.defer(order("fail", 2, "one"))
        await until(lambda: len(log.done) == 2)

    assert log.begun == [1, 1, 2]


async def test_at_the_end_a_task_may_finish(stand: Stand) -> None:
    log = Log()
    async with stand.work(log) as queue:
        await queue.defer(order("wait", 1))
        await until(lambda: log.begun == [1])
        asyncio.get_running_loop().call_later(0.05, log.gate.set)

    assert log.done == [1]


@pytest.mark.parametrize("cut_by", ["the time", "a second signal"])
async def test_what_does_not_finish_is_parked_and_done_by_the_next_run(stand: Stand, cut_by: str) -> None:
    log = Log()

    async def insist() -> None:
        """Return at once."""

    leaving = Leaving(lambda: 0.0) if cut_by == "the time" else Leaving(lambda: 60.0, insist)
    async with stand.work(log, leaving=leaving, max_attempts=1) as queue:
        await queue.defer(order("wait", 1, "one"))
        await queue.defer(order("wait", 2, "one"))
        await until(lambda: log.begun == [1])
    parked = list(log.done)
    log.gate.set()
    async with stand.work(log, max_attempts=1) as queue:
        await until(lambda: len(log.done) == 2)
        await until_empty(queue)

    assert parked == []
    assert log.begun == [1, 1, 2]


async def test_a_task_that_is_done_or_not_due_is_no_sign_of_idleness(stand: Stand) -> None:
    log, swept = Log(), list[bool]()
    gauges = Gauges(swept=swept.append)
    async with stand.work(log, gauges=gauges) as queue:
        await queue.defer(order("wait", 1, "one"))
        await queue.defer(order("wait", 2, "one"))
        await queue.defer(order("note", 3, delay_seconds=600))
        await until(lambda: log.begun == [1])
        at_work = len(swept)
        await until(lambda: len(swept) > at_work + 1)
        while_at_work = swept[at_work:]
        log.gate.set()
        await until(lambda: log.done == [1, 2])
        done = len(swept)
        await until(lambda: len(swept) > done + 1)

    assert True not in while_at_work
    assert not swept[-1]


@pytest.mark.parametrize(
    ("waiting", "queues", "is_idle"),
    [
        ([order("note", 1)], ["note"], True),
        ([order("note", 1)], ["wait"], False),
        ([], ["note"], False),
    ],
)
async def test_a_task_that_is_due_while_none_is_done_is_one(
    stand: Stand, waiting: list[Order], queues: list[str], is_idle: bool
) -> None:
    async with stand.open_place() as place:
        app = App(connector=place.connector)
        for name in ("note", "wait"):
            app.task(name=name, queue=name)(ignore)
        ledger = Ledger(app, place, now)
        for each in waiting:
            await ledger.defer(each)
        row = await place.connector.execute_query_one_async(own_queries.ARE_IDLE, queues=queues)

    assert bool(row["found"]) is is_idle


async def ignore(words: str) -> None:
    """Do nothing."""


async def test_a_job_that_hangs_is_a_failed_attempt(stand: Stand) -> None:
    log = Log()
    async with stand.work(log, replace(QUICK, job_seconds=0.05), max_attempts=1) as queue:
        await queue.defer(order("wait", 1))
        dead = await until_dead(queue)

    assert (dead[0].error or "").startswith("TimeoutError")


async def test_erasing_a_session_takes_its_tasks_whatever_state_they_are_in(stand: Stand) -> None:
    log = Log()
    log.faults = [ValueError()]
    timing = QueueTiming(sweep_seconds=0.05)
    async with stand.work(log, timing, max_attempts=1) as queue:
        await queue.defer(order("fail", 1, "one"))
        for n, session in ((2, "one"), (3, "one"), (4, "two")):
            await queue.defer(order("wait", n, session))
        await until(lambda: sorted(log.begun) == [1, 2, 4])
        cleared = await queue.erase("one")
        entries = await queue.entries()
        log.gate.set()
        await until(lambda: log.done == [4])

    assert cleared == Cleared(3, 0)
    assert [(entry.session, entry.state) for entry in entries] == [("two", "doing")]


async def test_what_is_to_be_spared_of_a_session_is_queued_anew_or_left_as_it_is(stand: Stand) -> None:
    """Of seven tasks, dead, under way and waiting, three go, three are changed, and one stays as it was."""
    log, timing, seen = Log(), QueueTiming(sweep_seconds=0.05), list[str]()
    log.faults = [ValueError(), ValueError()]

    def spare(task: str, args: Args) -> Args | None:
        seen.append(task)
        n = int(str(args["n"]))
        return None if n % 2 else {"n": n if n > 5 else n + 10}

    async with stand.work(log, timing, max_attempts=1) as queue:
        for n in (0, 1):
            await queue.defer(order("fail", n, "one"))
        while len(await queue.entries(dead=True)) < 2:  # noqa: ASYNC110 - a queue has no event for it
            await asyncio.sleep(0.005)
        for n in (2, 3, 4, 5, 6):
            await queue.defer(order("wait", n, "one"))
        await queue.defer(order("wait", 7, "two"))
        await until(lambda: sorted(log.begun) == [0, 1, 2, 7])
        cleared = await queue.erase("one", spare)
        log.gate.set()
        await until(lambda: len(log.done) == 5)
        await until_empty(queue)

    assert cleared == Cleared(6, 0)
    assert sorted(seen) == ["fail"] * 2 + ["wait"] * 5
    assert sorted(log.done) == [6, 7, 10, 12, 14]


async def test_a_task_that_is_postponed_has_not_failed_however_often(stand: Stand) -> None:
    log = Log()
    log.faults = [TaskPostponed(0.01) for _ in range(5)]
    with capture_logs() as logs:
        async with stand.work(log, max_attempts=2) as queue:
            await queue.defer(order("fail", 1, "one"))
            await until_empty(queue)

    assert log.done == [1]
    assert [said["event"] for said in logs if said["event"].startswith("task_")] == ["task_postponed"] * 5


async def test_a_task_that_this_version_does_not_know_waits(stand: Stand) -> None:
    log = Log()
    async with stand.work(log) as queue:
        await queue.defer(order("later_version", 1))
        await queue.defer(order("note", 2))
        await until(lambda: log.done == [2])
        entries = await queue.entries()

    assert [(entry.task, entry.state, entry.error) for entry in entries if entry.task != "note"] == [
        ("later_version", "todo", None)
    ]


async def test_a_task_that_is_to_wait_does(stand: Stand) -> None:
    log = Log()
    async with stand.work(log) as queue:
        await queue.defer(order("note", 1, delay_seconds=0.3))
        await queue.defer(order("note", 2))
        await until(lambda: len(log.done) == 2)

    assert log.done == [2, 1]


async def test_what_was_put_off_by_a_clock_that_was_ahead_holds_up_nobody(stand: Stand) -> None:
    log, ahead_seconds = Log(), 365 * 86_400.0
    log.faults = [ValueError()]
    with capture_logs() as logs:
        async with stand.work(log, replace(QUICK, pause_seconds=lambda failures: ahead_seconds)) as queue:
            await queue.defer(order("fail", 1, "one"))
            await queue.defer(order("note", 2, "one"))
            await until(lambda: sorted(log.done) == [1, 2])
            with pytest.raises(ValueError, match="too long"):
                await queue.defer(order("note", 3, delay_seconds=ahead_seconds))

    assert "task_brought_forward" in [said["event"] for said in logs]


async def test_tasks_are_counted_and_their_time_is_taken(stand: Stand) -> None:
    log, counts, seconds = Log(), dict[str, int](), list[str]()
    gauges = Gauges(lambda task, took: seconds.append(task), counts.__setitem__)
    async with stand.work(log, gauges=gauges) as queue:
        await queue.defer(order("wait", 1, "one"))
        await queue.defer(order("wait", 2, "one"))
        await until(lambda: counts == {"todo": 1, "doing": 1})
        log.gate.set()
        await until(lambda: counts == {"todo": 0, "doing": 0})

    assert seconds == ["wait", "wait"]

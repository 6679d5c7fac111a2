"""These tests check what counts as progress, and what the supervisor is told of it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agentd.service.beating import Pulse
from agentd.service.notifying import Notifier
from agentd.service.vitals import Limits, QueueSign, Signs, Vitals
from agentd.service.watchdog import Watchdog


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_loop_that_does_not_come_round_is_no_progress(clock: Clock) -> None:
    vitals = Vitals(Pulse(clock), Limits())
    clock.now = 9
    before = vitals.faults()
    clock.now = 11

    assert before == []
    assert vitals.faults() == ["the event loop is 11 s late"]


def test_a_loop_that_came_round_late_is_no_progress_until_it_comes_round_in_time(clock: Clock) -> None:
    pulse = Pulse(clock)
    vitals = Vitals(pulse, Limits())
    pulse.lag_seconds = 12
    late = vitals.faults()
    pulse.lag_seconds = 0.1

    assert late == ["the event loop is 12 s late"]
    assert vitals.faults() == []


def test_tasks_that_wait_while_none_is_done_and_a_queue_that_does_not_answer_are_no_progress(clock: Clock) -> None:
    pulse, queue = Pulse(clock), QueueSign(clock)
    vitals = Vitals(pulse, Limits())
    vitals.signs = Signs(queue=queue)
    unopened = [vitals.faults() for pulse.felt in [1000.0] for clock.now in [1000.0]]
    queue.swept(True)
    clock.now = pulse.felt = 1290
    queue.swept(True)
    soon = vitals.faults()
    clock.now = pulse.felt = 1310
    queue.swept(True)
    idle = vitals.faults()
    queue.swept(False)
    busy = vitals.faults()
    clock.now = pulse.felt = 1700

    assert unopened == [[]]
    assert soon == []
    assert idle == ["background tasks wait, and none is being done"]
    assert busy == []
    assert vitals.faults() == ["the queue of background tasks does not answer"]


def test_an_append_without_an_end_and_a_stuck_channel_are_no_progress(clock: Clock) -> None:
    vitals = Vitals(Pulse(clock), Limits())
    vitals.signs = Signs(lambda: ["telegram"], lambda: 121.0)

    assert vitals.faults() == [
        "a record is not on disk, and not refused",
        "telegram is stuck, though it was restarted",
    ]


def test_signs_of_life_come_four_times_an_interval_and_only_on_progress(clock: Clock, tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        stuck: list[str] = []
        pulse = Pulse(clock)
        vitals = Vitals(pulse, Limits())
        vitals.signs = Signs(lambda: stuck)
        watchdog = Watchdog(Notifier(address, 20), vitals, clock)

        def beat(until: float) -> int:
            while clock.now < until:
                clock.now = pulse.felt = clock.now + 1
                watchdog.step()
            return drained(listener)

        with capture_logs() as logs:
            well = beat(20)
            stuck.append("discord")
            ill = beat(60)
            stuck.clear()
            again = beat(65)

    assert (well, ill, again) == (4, 0, 1)
    assert [entry["event"] for entry in logs] == ["watchdog_withheld", "watchdog_resumed"]
    assert logs[0]["reasons"] == ["discord is stuck, though it was restarted"]


def drained(listener: socket.socket) -> int:
    """Return how many signs were waiting."""
    count = 0
    while True:
        try:
            assert listener.recv(100) == b"WATCHDOG=1"
        except BlockingIOError:
            return count
        count += 1

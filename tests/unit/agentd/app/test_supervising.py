"""These tests check that a failed channel is restarted, left out or tried again, without harm to the others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from agentd.app.supervising import RestartPolicy, Supervisor
from agentd.errors import ConfigError
from agentd.service.status import ChannelStatus
from channels.backoff import Growing
from channels.base import Accept, Places, Receipt
from channels.errors import ChannelFailed, ChannelUnavailable
from channels.health import Health
from tests.fakes.channel import FakeChannel

POLICY = RestartPolicy(
    look_seconds=0.005, pause=Growing(0.001, 0.004), most_falls=3, steady_seconds=0.03, left_out_seconds=0.05
)

Run = Callable[["Scripted"], Coroutine[Any, Any, None]]


class Scripted(FakeChannel):
    """A channel whose runs go as the test says; the last goes on for ever."""

    def __init__(self, *runs: Run) -> None:
        super().__init__()
        self.health = Health(time.monotonic, 60.0)
        self.runs = list(runs)
        self.began: list[float] = []
        self.changed = asyncio.Event()

    async def run(self, accept: Accept, places: Places) -> None:
        del accept, places
        self.began.append(time.monotonic())
        self.changed.set()
        await (self.runs.pop(0) if self.runs else stay)(self)

    async def until_begun(self, times: int) -> None:
        while len(self.began) < times:
            self.changed.clear()
            await self.changed.wait()


async def stay(channel: Scripted) -> None:
    channel.health.touch()
    await asyncio.Event().wait()


async def fall(channel: Scripted) -> None:
    raise LookupError("a bug")


async def fall_within(channel: Scripted) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(fall(channel), name="a part of it")


async def end(channel: Scripted) -> None:
    return


async def greet_and_refuse(channel: Scripted) -> None:
    channel.health.touch()
    raise ChannelUnavailable("channels_config.slack.app_token: unknown")


async def refuse(channel: Scripted) -> None:
    raise ChannelUnavailable("channels_config.telegram.token: unknown")


async def greet_and_fall(channel: Scripted) -> None:
    channel.health.touch()
    raise LookupError("a bug")


async def lose_words(channel: Scripted) -> None:
    raise ChannelFailed("answers are lost")


async def greet_and_hang(channel: Scripted) -> None:
    channel.health.greet()
    await asyncio.Event().wait()


async def hang(channel: Scripted) -> None:
    await asyncio.Event().wait()


async def accept(inbound: object) -> Receipt:
    raise NotImplementedError


async def places() -> list[Any]:
    return []


def look(supervisor: Supervisor, name: str = "fake") -> ChannelStatus:
    return next(status for status in supervisor.statuses() if status.name == name)


async def until(supervisor: Supervisor, holds: Callable[[ChannelStatus], bool]) -> ChannelStatus:
    async with asyncio.timeout(10):
        while not holds(status := look(supervisor)):  # noqa: ASYNC110 - it is looked at, and tells nobody
            await asyncio.sleep(0.001)
    return status


async def test_one_that_fell_is_begun_anew_after_pauses_that_grow_and_is_well_again() -> None:
    restarts: list[str] = []
    channel = Scripted(fall, fall_within)
    supervisor = Supervisor({"fake": channel}, POLICY, count_restart=restarts.append)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(supervisor.keep("fake", accept, places))
        await channel.until_begun(3)
        fallen = look(supervisor)
        back = await until(supervisor, lambda status: status.fault == "")
        keeping.cancel()

    assert fallen.fault == "it fell (LookupError) and is restarted"
    assert (back.restarts, back.is_missing, restarts) == (2, False, ["fake", "fake"])
    assert channel.began[1] - channel.began[0] >= 0.001
    assert channel.began[2] - channel.began[1] >= 0.002


async def test_one_that_falls_again_and_again_is_left_out_and_tried_seldom_beside_the_others() -> None:
    broken, well = Scripted(*[fall] * 4), Scripted()
    supervisor = Supervisor({"fake": broken, "well": well}, POLICY)
    async with asyncio.TaskGroup() as tasks:
        keeping = [tasks.create_task(supervisor.keep(name, accept, places)) for name in ("fake", "well")]
        left_out = await until(supervisor, lambda status: "left out" in status.fault)
        await broken.until_begun(5)
        back = await until(supervisor, lambda status: status.fault == "")
        for task in keeping:
            task.cancel()

    assert left_out.fault == "it fell 3 times (LookupError) and is left out: see the log"
    assert left_out.is_missing
    assert not back.is_missing
    assert broken.began[3] - broken.began[2] >= 0.05
    assert broken.began[4] - broken.began[3] >= 0.05
    assert len(well.began) == 1


@pytest.mark.parametrize("run", [refuse, greet_and_refuse])
async def test_what_cannot_be_had_from_the_start_is_the_operator_s_to_change(run: Run) -> None:
    supervisor = Supervisor({"fake": Scripted(run)}, POLICY)

    with pytest.raises(ConfigError, match="token: unknown"):
        await supervisor.keep("fake", accept, places)


async def test_what_cannot_be_had_any_more_is_no_reason_to_end() -> None:
    supervisor = Supervisor({"fake": Scripted(greet_and_fall, refuse, refuse, refuse)}, POLICY)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(supervisor.keep("fake", accept, places))
        left_out = await until(supervisor, lambda status: "left out" in status.fault)
        keeping.cancel()

    assert "channels_config.telegram.token: unknown" in left_out.fault


async def test_words_that_were_lost_end_the_daemon() -> None:
    supervisor = Supervisor({"fake": Scripted(lose_words)}, POLICY)

    with pytest.raises(ChannelFailed):
        await supervisor.keep("fake", accept, places)


async def test_one_that_has_no_more_to_say_is_left_at_that() -> None:
    channel = Scripted(end)
    channel.health.patience_seconds = None
    await Supervisor({"fake": channel}, POLICY).keep("fake", accept, places)

    assert len(channel.began) == 1


async def test_one_without_an_outcome_is_begun_anew_and_stuck_only_if_it_was_heard_before() -> None:
    never, once = Scripted(*[hang] * 50), Scripted(*[hang] * 50)
    never.health.patience_seconds = once.health.patience_seconds = 0.02
    once.health.touch()
    supervisor = Supervisor({"fake": never, "once": once}, POLICY)
    async with asyncio.TaskGroup() as tasks:
        keeping = [tasks.create_task(supervisor.keep(name, accept, places)) for name in ("fake", "once")]
        for channel in (never, once):
            await channel.until_begun(4)
        stuck = supervisor.stuck()
        for task in keeping:
            task.cancel()

    assert stuck == ["once"]
    assert look(supervisor, "once").fault == "it was silent for 0.02 s and is restarted"


async def test_one_that_only_greets_is_begun_anew_and_no_matter_for_the_watchdog() -> None:
    """A restart of the process would hear the greeting again, and so for ever."""
    channel = Scripted(*[greet_and_hang] * 50)
    channel.health.patience_seconds = 0.02
    supervisor = Supervisor({"fake": channel}, POLICY)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(supervisor.keep("fake", accept, places))
        await channel.until_begun(4)
        stuck = supervisor.stuck()
        keeping.cancel()

    assert stuck == []
    assert look(supervisor).fault == "it was silent for 0.02 s and is restarted"
    assert look(supervisor).restarts >= 3


async def test_one_that_is_refused_once_the_daemon_has_started_is_left_out() -> None:
    """It was waited for, for hours perhaps; the others are heard meanwhile."""
    channel = Scripted(refuse, refuse)
    supervisor = Supervisor({"fake": channel}, POLICY, lambda: False)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(supervisor.keep("fake", accept, places))
        left_out = await until(supervisor, lambda status: "left out" in status.fault)
        await channel.until_begun(3)
        back = await until(supervisor, lambda status: status.fault == "")
        keeping.cancel()

    assert left_out.fault == ("it fell once (channels_config.telegram.token: unknown) and is left out: see the log")
    assert not back.is_missing
    assert channel.began[1] - channel.began[0] >= 0.05


async def be_cancelled(channel: Scripted) -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize("run", [end, be_cancelled])
async def test_one_with_a_platform_that_ends_by_itself_has_fallen(run: Run) -> None:
    channel = Scripted(run)
    supervisor = Supervisor({"fake": channel}, POLICY)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(supervisor.keep("fake", accept, places))
        await channel.until_begun(2)
        fault = look(supervisor).fault
        keeping.cancel()

    assert fault == "it fell (EndedByItself) and is restarted"


async def hold_on(channel: Scripted) -> None:
    for _ in range(4):
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


async def test_a_run_that_does_not_let_go_is_told_of_once_and_followed_by_no_other_until_it_does() -> None:
    channel = Scripted(hold_on)
    channel.health.patience_seconds = 0.02
    policy = replace(POLICY, let_go_seconds=0.01)
    supervisor = Supervisor({"fake": channel}, policy)
    with capture_logs() as logs:
        async with asyncio.TaskGroup() as tasks:
            keeping = tasks.create_task(supervisor.keep("fake", accept, places))
            await channel.until_begun(2)
            keeping.cancel()

    told = [said["event"] for said in logs]
    assert (told.count("channel_stuck"), told.count("channel_holds_on")) == (1, 1)

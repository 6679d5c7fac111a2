"""This module runs one load test: the daemon as a process, a crowd, and one fault after another."""

from __future__ import annotations

import asyncio
import math
import signal
import subprocess
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.flow.process import AGENTD, environment
from tests.load.crowd import Crowd, Model, Platform, Tally
from tests.load.on_discord import open_discord
from tests.load.on_slack import open_slack

Open = Callable[[int, Sequence[float]], AbstractAsyncContextManager[Platform]]
"""Opens a platform for so many people, which tells again after so many seconds what was not taken."""

PLATFORMS: Mapping[str, Open] = {"discord": open_discord, "slack": open_slack}


@dataclass(frozen=True, slots=True)
class Plan:
    """How heavy, and how long."""

    people: int = 50
    loss_seconds: float = 60
    calm_seconds: float = 30
    """Before the first fault, and after each."""
    patience_seconds: float = 10
    """How long a person waits for an answer before writing again."""
    again_seconds: Sequence[float] = (0, 60, 300)
    """How long after each failure a platform that does so tells of an event again."""
    piece_seconds: float = 0.15
    """The model's pause before each word."""
    faults: Sequence[str] = ()
    """Which of the platform's; none: all."""
    limit_seconds: float = 240
    """Within which everything must be answered once everyone has stopped to write."""


@dataclass(slots=True)
class Report:
    """What came of a run."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    """By the fault; what was written before any is the first."""
    wrongs: list[str] = field(default_factory=list)
    """What the platform or the log has to complain of."""
    verify_code: int = -1
    """What `agentd sessions verify` ends with."""
    exit_code: int = -1

    @property
    def faults(self) -> list[str]:
        """Return all that must not be."""
        found = [*self.wrongs]
        for name, tally in self.tallies.items():
            found += [f"{name}: {question} is lost" for question in tally.lost]
            found += [f"{name}: {question} is answered twice" for question in tally.doubles]
            found += [f"{name}: {question} is answered elsewhere" for question in tally.misplaced]
        if self.verify_code or self.exit_code:
            found.append(f"the daemon ended with {self.exit_code}, sessions verify with {self.verify_code}")
        return found


class DaemonEnded(Exception):
    """The daemon ended while people were talking."""


async def run(name: str, plan: Plan, folder: Path, *, streams: bool = True) -> Report:
    """Let a crowd talk through the faults of a platform, in a folder for the daemon; `streams`: answers grow."""
    model = Model(words=4, piece_seconds=plan.piece_seconds)
    report = Report()
    async with PLATFORMS[name](plan.people, plan.again_seconds) as platform, model:
        config = folder / "config.toml"
        config.write_text(_configuration(folder, platform, model, plan, streams=streams), encoding="utf-8")
        crowd = Crowd(platform, plan.people, plan.patience_seconds)
        async with _daemon(config) as process, asyncio.TaskGroup() as tasks:
            beside = [
                tasks.create_task(crowd.watch(), name="watch"),
                tasks.create_task(_keep_watch(process), name="daemon"),
            ]
            await crowd.until(lambda: platform.is_connected)
            over_at = await _talk(crowd, platform, plan)
            for task in beside:
                task.cancel()
            process.send_signal(signal.SIGTERM)
            report.exit_code = await process.wait()
        ends = [*over_at.values(), math.inf]
        for phase, fault in enumerate(over_at):
            report.tallies[fault] = crowd.tally(phase, (ends[phase], ends[phase + 1]))
        report.wrongs = platform.wrongs()
    log = (folder / "log").read_text("utf-8")
    report.wrongs += [line for line in log.splitlines() if "Traceback" in line or "crashed" in line]
    report.verify_code = await asyncio.to_thread(_verify, config)
    return report


async def _keep_watch(process: Process) -> None:
    """Raise DaemonEnded should it do that by itself."""
    raise DaemonEnded(f"the daemon has ended with {await process.wait()}; its log says why")


async def _talk(crowd: Crowd, platform: Platform, plan: Plan) -> Mapping[str, float]:
    """Return when each part's fault was over; at the end, wait until everything is answered."""
    over_at = {"before": time.monotonic()}
    async with crowd.talking():
        await asyncio.sleep(plan.calm_seconds)
        for phase, fault in enumerate(plan.faults or platform.faults, 1):
            crowd.phase = phase
            await platform.faults[fault](plan.loss_seconds, crowd.until)
            over_at[fault] = time.monotonic()
            await asyncio.sleep(plan.calm_seconds)
            await crowd.until(lambda: crowd.written(crowd.phase) >= plan.people // 5)
    try:
        async with asyncio.timeout(plan.limit_seconds):
            await crowd.until(lambda: crowd.is_answered and platform.is_quiet)
    except TimeoutError:
        pass  # what is not answered by now is counted as lost
    return over_at


def _configuration(folder: Path, platform: Platform, model: Model, plan: Plan, *, streams: bool) -> str:
    return (
        f'workspace = "{folder / "workspace"}"\n'
        f"[agent]\nmax_concurrent_turns = {plan.people}\n"
        f'[channels_config]\nstream = "{"edit" if streams else "off"}"\n{platform.config}'
        "[gate]\nmessages_per_minute = 100000\n"  # these people type faster than any
        "[memory]\nenabled = false\n"  # a memory of an answer would name its question again
        f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\napi_key = "sk-planted"\n'
    )


@asynccontextmanager
async def _daemon(config: Path) -> AsyncIterator[Process]:
    words = ("--config", str(config), "run")
    with (config.parent / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            AGENTD, *words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log, env=environment()
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()


def _verify(config: Path) -> int:
    return subprocess.run(
        [AGENTD, "--config", config, "sessions", "verify"], env=environment(), capture_output=True, check=False
    ).returncode

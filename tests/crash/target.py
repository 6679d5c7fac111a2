"""This module runs the real daemon on a platform, a disk and a clock of the test's choice, to be killed.

    python -m tests.crash.target --config CONFIG [--kill-at STEP] [--most-units UNITS]

runs until SIGTERM, or until it kills itself at a step (`steps.py`); the steps go to stderr, among the log.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from functools import reduce
from importlib import import_module
from inspect import iscoroutinefunction
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from agentd.app import Edges, serve
from agentd.app.working import open_work
from agentd.errors import AgentdError
from agentd.log import configure_log
from agentd.service.figures import open_figures
from agentd.settings import Settings, load_settings
from agentd.tasks.alone import work_alone
from agentd.tasks.timing import QueueTiming
from agentd.transcript.clock import utc_now
from agentd.transcript.disk import Disk
from agentd.transcript.file_disk import FLUSH_THREADS, FileDisk
from channels.backoff import Growing
from channels.base import Channel
from channels.settings import ChannelsSettings
from channels.tools import Tools
from tests.crash.faults import Fault, with_faults
from tests.crash.steps import SteppingChannel, Steps, kill, with_steps

QUICK = (0.05, 0.5)
"""Nobody else uses this platform: what a real one needs to be spared of only makes the tests wait."""

HURRIED = QueueTiming(
    sweep_seconds=0.2,
    poll_seconds=0.1,
    stale_seconds=1.5,
    restart=Growing(0.05, 0.2),
    pause_seconds=lambda failures: 0.1,
)
"""Background tasks are looked for, and tried again, within moments."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is different from an ordinary run."""

    config: str
    kill_at: str | None = None
    kill_call: str | None = None
    """A call before or after which it ends: `MODULE:QUALNAME:before|after:N`."""
    most_units: int | None = None
    clock_shift_seconds: float = 0
    faults: tuple[Fault, ...] = ()
    alone: bool = False
    """Whether it is a worker, beside a daemon."""


def run(plan: Plan, announce: Callable[[str], None]) -> int:
    """Serve until the end, and return the exit code."""
    settings = load_settings(Path(plan.config), os.environ)
    configure_log(settings.log, sys.stderr)
    if plan.kill_call:
        plant(plan.kill_call)
    code = 0
    try:
        asyncio.run(_work(settings) if plan.alone else _serve(plan, settings, announce))
    except* AgentdError as faults:
        for fault in faults.exceptions:
            sys.stderr.write(f"agentd: {fault}\n")
            code = fault.exit_code if isinstance(fault, AgentdError) else 1
    return code


async def _serve(plan: Plan, settings: Settings, announce: Callable[[str], None]) -> None:
    edges = build_edges(plan, settings, Steps(announce, plan.kill_at))
    await serve(settings, settings.channels_config.enabled, edges)


async def _work(settings: Settings) -> None:
    with open_figures(settings.service.metrics_listen) as figures:
        await work_alone(lambda leaving: open_work(settings, figures, leaving, HURRIED), settings.service.drain_seconds)


def build_edges(plan: Plan, settings: Settings, steps: Steps) -> Edges:
    """Put the stepping channel, the stepping disk and the plan's clock at the daemon's edges."""

    def build_channels(names: Sequence[str], section: ChannelsSettings, tools: Tools) -> Mapping[str, Channel]:
        [name] = names
        channel = _BUILDERS[name](section, tools)
        dialect = replace(channel.dialect, most_units=plan.most_units or channel.dialect.most_units)
        return {channel.name: SteppingChannel(channel, steps, dialect)}

    def wrap_disk(disk: Disk) -> Disk:
        if plan.faults:
            flushers = ThreadPoolExecutor(FLUSH_THREADS, "transcript-flush")
            disk = FileDisk(flushers, with_faults(plan.faults, settings.workspace / "sessions", steps))
        return with_steps(disk, steps)

    def clock() -> datetime:
        return utc_now() + timedelta(seconds=plan.clock_shift_seconds)

    return Edges(build_channels=build_channels, wrap_disk=wrap_disk, clock=clock, timing=HURRIED)


def plant(call: str) -> None:
    """Let the process end before or after the so-manieth call of a function, wherever that is asked for by its name."""
    module, name, when, number = call.split(":")
    *above, last = name.split(".")
    owner = reduce(getattr, above, import_module(module))
    original, calls = getattr(owner, last), count(1)

    def pass_by(moment: str) -> None:
        if moment == when and next(calls) == int(number):
            kill()

    async def called(*given: Any, **named: Any) -> Any:
        pass_by("before")
        outcome = await original(*given, **named)
        pass_by("after")
        return outcome

    def called_at_once(*given: Any, **named: Any) -> Any:
        pass_by("before")
        outcome = original(*given, **named)
        pass_by("after")
        return outcome

    setattr(owner, last, called if iscoroutinefunction(original) else called_at_once)


def load(name: str) -> None:
    """Import what a channel needs, before it is built."""
    import_module(f"channels.{name}.channel")


def _build_telegram(section: ChannelsSettings, tools: Tools) -> Channel:
    from channels.telegram.channel import TelegramChannel
    from channels.telegram.waits import Growing, Waits

    soon = Growing(*QUICK)
    waits = Waits(network=soon, conflict=soon, token=soon, empty=soon, busy=soon, stuck=soon, refused=soon)
    return TelegramChannel(section.telegram, tools, waits)


def _build_discord(section: ChannelsSettings, tools: Tools) -> Channel:
    from channels.discord.channel import DiscordChannel
    from channels.discord.waits import Growing, Waits

    soon = Growing(*QUICK)
    waits = Waits(network=soon, identify=soon, refused=soon, switched_off=soon, close_seconds=0.2)
    return DiscordChannel(section.discord, tools, waits)


def _build_slack(section: ChannelsSettings, tools: Tools) -> Channel:
    from channels.slack.channel import SlackChannel
    from channels.slack.waits import Growing, Waits

    soon = Growing(*QUICK)
    waits = Waits(network=soon, token=soon, refused=soon, places=soon, scan_seconds=0.05, linger_seconds=0.3)
    return SlackChannel(section.slack, tools, waits)


_BUILDERS: Mapping[str, Callable[[ChannelsSettings, Tools], Channel]] = {
    "telegram": _build_telegram,
    "discord": _build_discord,
    "slack": _build_slack,
}


def main() -> None:
    """Run by hand."""
    parser = argparse.ArgumentParser(description="The daemon, killed where you like.")
    parser.add_argument("--config", required=True)
    parser.add_argument("--kill-at", metavar="STEP")
    parser.add_argument("--most-units", type=int)
    options = parser.parse_args()
    plan = Plan(config=options.config, kill_at=options.kill_at, most_units=options.most_units)
    sys.exit(run(plan, lambda step: print(f"step: {step}", file=sys.stderr, flush=True)))  # noqa: T201 - its output


if __name__ == "__main__":
    main()

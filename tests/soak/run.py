"""This module runs one soak: people on three platforms, a daemon that is killed, and random faults."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.memory_looks import look_at
from tests.flow.process import AGENTD, environment
from tests.load.crowd import Platform
from tests.load.on_discord import OnDiscord
from tests.load.on_slack import OnSlack
from tests.platforms.discord_server import DiscordServer
from tests.platforms.slack_server import SlackServer
from tests.platforms.telegram_server import TelegramServer
from tests.soak.books import Books, read_entries, read_learnt
from tests.soak.daemon import Daemon, Life
from tests.soak.judge import Asked, Evidence, Verdict, changed_files, judge
from tests.soak.models import NAME, Answering, Clerk
from tests.soak.on_telegram import OnTelegram
from tests.soak.town import Town
from tests.soak.weather import Weather, discord_faults, slack_faults, telegram_faults

__all__ = ["Plan", "Report", "run"]

START_SECONDS = 60
GREET_SECONDS = 120
LOOK_SECONDS = 1.0
"""Files set no event: so often they are looked at."""
NEVER = 1_000_000

_CRASH = re.compile(r"Traceback|_crashed\b")


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, how many, and how bad."""

    seconds: float = 30 * 60
    people: int = 200
    seed: int = 0
    kill_seconds: float = 120
    """Between two kills; infinite: there is none."""
    pause_seconds: float = 20
    """How long a person pauses on average."""
    patience_seconds: float = 30
    """How long a person waits for an answer before writing again."""
    fault_share: float = 0.03
    """Of all calls, those that go wrong."""
    storm_seconds: float = 60
    """Between two storms on a platform, or outages of the models, on average; each lasts some seconds."""
    slow_share: float = 0.02
    """Of all commits, those that take up to `slow_seconds` longer."""
    slow_seconds: float = 1.0
    again_seconds: Sequence[float] = (0, 60, 300)
    """How long after each failure Slack tells of an event again."""
    piece_seconds: float = 0.1
    """The model's pause before each word."""
    limit_seconds: float = 600
    """Within which everything must be settled once nobody writes any more."""


@dataclass(slots=True)
class Report:
    """What came of a run."""

    evidence: Evidence
    verdict: Verdict
    lives: Sequence[Life]
    talked_until: float
    faults_made: Counter[str]
    waits_seconds: Sequence[float]
    settle_seconds: float
    wrongs: list[str] = field(default_factory=list)
    """What a platform, the log, or a file has to complain of."""

    @property
    def faults(self) -> list[str]:
        """Return all that must not be."""
        return [*self.verdict.faults, *self.wrongs]


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything around the daemon."""

    platforms: Sequence[Platform]
    weathers: Sequence[Weather[Any]]
    answering: Answering
    clerk: Clerk


async def run(plan: Plan, folder: Path) -> Report:
    """Let people talk, things go wrong, and the daemon be killed; then let all come to its end, and judge."""
    chance = random.Random(plan.seed)  # noqa: S311 - the same faults each time, as far as that goes
    async with _open_stage(plan, chance) as stage:
        daemon = Daemon(folder, plan.slow_share, plan.slow_seconds)
        daemon.config.write_text(_configuration(folder, stage), encoding="utf-8")
        town = Town(stage.platforms, plan.people, chance, plan.pause_seconds, plan.patience_seconds)
        books = Books(folder / "workspace")
        storms: Counter[str] = Counter()
        async with asyncio.TaskGroup() as tasks:
            beside = [tasks.create_task(town.watch(each), name=f"watch {each.name}") for each in stage.platforms]
            beside.append(tasks.create_task(daemon.sample(), name="memory"))
            running = tasks.create_task(daemon.keep_running(), name="daemon")
            await _greet(town, stage)
            await _talk(plan, stage, town, daemon, storms)
            talked_until = time.monotonic()
            await _settle(plan, stage, town, books)
            settle_seconds = time.monotonic() - talked_until
            daemon.stop()
            exit_code = await running
            for task in beside:
                task.cancel()
        evidence = _gather(town, stage, books)
        counts = sum((weather.counts for weather in stage.weathers), storms)
        report = Report(
            evidence, judge(evidence), daemon.lives, talked_until, counts, town.waits_seconds, settle_seconds
        )
        report.wrongs = await asyncio.to_thread(_look_around, stage, daemon, books, exit_code)
        return report


async def _greet(town: Town, stage: Stage) -> None:
    """Let the daemon come up, and get to know every place: what it has never heard of it cannot ask for later."""
    async with asyncio.timeout(START_SECONDS):
        await town.until(lambda: all(platform.is_connected for platform in stage.platforms))
    async with asyncio.timeout(GREET_SECONDS):
        await town.greet()


async def _talk(plan: Plan, stage: Stage, town: Town, daemon: Daemon, storms: Counter[str]) -> None:
    """Let everyone talk in bad weather; what was begun of it is over when this returns."""
    ends_at = time.monotonic() + plan.seconds
    _set_calm(stage, is_calm=False)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(town.talk(), name="talk")
        chances = [random.Random(plan.seed + number) for number in range(1, 5)]  # noqa: S311 - as above
        for platform, chance in zip(stage.platforms, chances, strict=False):
            tasks.create_task(_storm(plan, town, platform, chance, storms), name=f"storms on {platform.name}")
        tasks.create_task(_fail_models(plan, town, stage, chances[-1], storms), name="outages")
        killing = tasks.create_task(daemon.kill_every(plan.kill_seconds), name="kills")
        await asyncio.sleep(ends_at - time.monotonic())
        town.stop()
        killing.cancel()
    _set_calm(stage, is_calm=True)


async def _storm(plan: Plan, town: Town, platform: Platform, chance: random.Random, storms: Counter[str]) -> None:
    while await _has_time(town, chance.expovariate(1 / plan.storm_seconds)):
        if platform.is_connected:
            name = chance.choice(list(platform.faults))
            storms[f"{platform.name}: {name}"] += 1
            await platform.faults[name](chance.uniform(1, 5), town.until)


async def _fail_models(plan: Plan, town: Town, stage: Stage, chance: random.Random, storms: Counter[str]) -> None:
    """Let both models be away at times, longer than the daemon asks again: then people are told."""
    while await _has_time(town, chance.expovariate(1 / (3 * plan.storm_seconds))):
        storms["models: outage"] += 1
        stage.answering.is_out = stage.clerk.is_out = True
        await _has_time(town, chance.uniform(4, 10))
        stage.answering.is_out = stage.clerk.is_out = False


async def _has_time(town: Town, seconds: float) -> bool:
    """Wait, and tell whether people still talk then."""
    try:
        async with asyncio.timeout(seconds):
            await town.until(lambda: town.has_stopped)
    except TimeoutError:
        return True
    return False


async def _settle(plan: Plan, stage: Stage, town: Town, books: Books) -> None:
    """Wait until nothing is left to do; what is not done in time is counted as lost."""
    try:
        async with asyncio.timeout(plan.limit_seconds):
            while not await _is_settled(stage, town, books):  # noqa: ASYNC110 - files set no event
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        pass


async def _is_settled(stage: Stage, town: Town, books: Books) -> bool:
    is_quiet = all(platform.is_quiet for platform in stage.platforms)
    return is_quiet and await asyncio.to_thread(books.is_settled, town.questions)


def _set_calm(stage: Stage, *, is_calm: bool) -> None:
    for weather in stage.weathers:
        weather.is_calm = is_calm


def _gather(town: Town, stage: Stage, books: Books) -> Evidence:
    return Evidence(
        asked={one.name: Asked(one.platform, one.place, one.text) for one in town.questions.values()},
        screens={platform.name: platform.screen() for platform in stage.platforms},
        files=books.files,
        learnt=read_learnt(books.workspace),
        entries=read_entries(books.workspace),
    )


def _look_around(stage: Stage, daemon: Daemon, books: Books, exit_code: int) -> list[str]:
    """Return what else must not be."""
    wrongs = [wrong for platform in stage.platforms for wrong in platform.wrongs()] + stage.answering.mixed
    contents = {path.name: path.read_bytes() for path in daemon.sessions.glob("*.jsonl")}
    wrongs += changed_files(daemon.left, contents)
    torn = sum(file.torn for file in books.files)
    if torn > len(daemon.left):
        wrongs.append(f"{torn} torn lines after {len(daemon.left)} kills")
    words: list[str | Path] = [AGENTD, "--config", daemon.config, "sessions", "verify"]
    code = subprocess.run(words, env=environment(), capture_output=True, check=False).returncode
    if exit_code or code != bool(torn):
        wrongs.append(f"the daemon ended with {exit_code}, sessions verify with {code}")
    look = look_at(None, books.workspace)
    if look.waiting or look.dead:
        wrongs.append(f"{look.waiting} tasks wait, {look.dead} are dead")
    for number, line in enumerate(daemon.log.read_text("utf-8").splitlines(), 1):
        if NAME.search(line) or _CRASH.search(line):
            wrongs.append(f"line {number} of the log: {line[:200]}")
    return wrongs


@asynccontextmanager
async def _open_stage(plan: Plan, chance: random.Random) -> AsyncIterator[Stage]:
    each = [plan.people // 3 + 1] * 3
    async with AsyncExitStack() as stack:
        telegram = await stack.enter_async_context(TelegramServer())
        discord = await stack.enter_async_context(DiscordServer())
        slack = await stack.enter_async_context(SlackServer())
        slack.deliveries.retry_seconds = tuple(plan.again_seconds)
        answering, clerk = Answering(chance, plan.fault_share, plan.piece_seconds), Clerk(chance, plan.fault_share)
        await stack.enter_async_context(answering)
        await stack.enter_async_context(clerk)
        platforms = (OnTelegram(telegram), OnDiscord(discord, each[1]), OnSlack(slack, each[2], per_thread=NEVER))
        on_telegram = Weather(chance, plan.fault_share, telegram_faults())
        on_discord = Weather(chance, plan.fault_share, discord_faults())
        on_slack = Weather(chance, plan.fault_share, slack_faults())
        telegram.usual, discord.usual, slack.usual = on_telegram.of, on_discord.of, on_slack.of
        weathers: Sequence[Weather[Any]] = (on_telegram, on_discord, on_slack, answering.weather, clerk.weather)
        yield Stage(platforms, weathers, answering, clerk)


def _configuration(folder: Path, stage: Stage) -> str:
    sections = "".join(platform.config for platform in stage.platforms)
    return (
        f'workspace = "{folder / "workspace"}"\n'
        f'[channels_config]\nstream = "edit"\n{sections}'
        "[gate]\nmessages_per_minute = 100000\n"  # these people type faster than any
        "[memory]\nenabled = true\n"
        f'[provider]\nkind = "openai"\nbase_url = "{stage.answering.base_url}"\nmodel = "test"\n'
        'api_key = "sk-planted"\n'
        f'[provider.background]\nkind = "openai"\nbase_url = "{stage.clerk.base_url}"\nmodel = "clerk"\n'
    )

"""This module measures a process between a loopback Slack and an instant model while many people write at once.

The platform is Slack, because it limits each chat but not all of them together, so that no rate limit slows the daemon.
"""

from __future__ import annotations

import asyncio
import os
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.idle import cpu_seconds
from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer

__all__ = ["END", "InstantModel", "Rig", "Spent", "author_of", "daemon_config", "open_rig"]

END = "and good shoes."
ANSWER = f"Rain comes in from the west on Tuesday, and stays for two days: take an umbrella, {END}"
ASKED = "How will the weather be on the coast next week?"
LIMIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Spent:
    """What some turns took in all, made as many at once as the measured process does."""

    turns: int
    seconds: float
    cpu_seconds: float
    calls: int
    """How many of Slack's methods were called."""

    @property
    def turns_a_second(self) -> float:
        """Turns a second of wall-clock time."""
        return self.turns / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Milliseconds of CPU for each turn, of the measured process alone."""
        return 1_000 * self.cpu_seconds / self.turns


class CountingSlack(SlackServer):
    """The loopback Slack of the tests, which also counts the people who were answered."""

    def __init__(self) -> None:
        """Begin with nobody answered."""
        super().__init__()
        self.answered = 0
        self.wanted = 0
        self.enough = asyncio.Event()

    async def __aenter__(self) -> CountingSlack:
        """Start to listen."""
        await super().__aenter__()
        return self

    def perform(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Let a call have its effect."""
        result = super().perform(method, params)
        if method in ("chat.postMessage", "chat.update") and END in str(params):
            self.answered += method == "chat.postMessage"
            if self.answered >= self.wanted:
                self.enough.set()
        return result


class InstantModel(OpenAIServer):
    """A loopback model that answers at once, in one piece."""

    async def __aenter__(self) -> InstantModel:
        """Start to listen."""
        await super().__aenter__()
        return self

    def _default(self, asked: Asked) -> Behaviour:
        return _answer


async def _answer(call: Call) -> web.StreamResponse:
    await call.open()
    await call.say(ANSWER)
    return await call.finish()


class Rig:
    """The measured process, and the people who write to it."""

    def __init__(self, slack: CountingSlack, pid: int) -> None:
        """Begin with nobody who has written."""
        self.slack = slack
        self.pid = pid

    async def talk(self, people: Sequence[int]) -> Spent:
        """Let each of these people write once, all at the same time, and wait until everybody is answered."""
        slack = self.slack
        slack.answered, slack.wanted = 0, len(people)
        slack.enough.clear()
        calls, used, began = len(slack.calls), cpu_seconds(self.pid), time.monotonic()
        for number in people:
            slack.post(ASKED, author=author_of(number))
        async with asyncio.timeout(LIMIT_SECONDS):
            await slack.enough.wait()
        seconds = time.monotonic() - began
        return Spent(len(people), seconds, cpu_seconds(self.pid) - used, len(slack.calls) - calls)


def author_of(number: int) -> str:
    """Return a person's id."""
    return f"U0BUSY{number:05}"


def daemon_config(workspace: Path, slack: SlackServer, model: OpenAIServer) -> str:
    """Return a daemon's configuration for both; memory is off, since it has its own benchmark."""
    return (
        f'workspace = "{workspace}"\n'
        f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\n'
        f'[channels_config.slack]\nbot_token = "{BOT_TOKEN}"\napp_token = "{APP_TOKEN}"\n'
        f'api_base_url = "{slack.base_url}"\nallowed_users = ["*"]\n'
        "[gate]\nmessages_per_minute = 100000\n[memory]\nenabled = false\n"
    )


@asynccontextmanager
async def open_rig(command: Sequence[str], slack: CountingSlack, log: Path) -> AsyncIterator[Rig]:
    """Start a process, and wait until it has connected to Slack."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("AGENTD_")}
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stderr=errors, env=environment)
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                while not slack.lines.open:
                    slack.changed.clear()
                    await slack.changed.wait()
            yield Rig(slack, process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()

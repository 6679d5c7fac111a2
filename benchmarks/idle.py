"""This benchmark measures memory and CPU of an idle daemon with every channel connected, against the bare libraries.

The floor is a Python process that only imports the three SDKs as the adapters do, pydantic-settings and structlog. The
daemon is connected to a loopback Telegram, Discord and Slack in a process of their own, and is measured over the same
seconds as the floor.

The bounds: at most 1.25 times the floor's memory, and at most 1 % of a core.

    python -m benchmarks.idle [SECONDS]
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.measuring.table import Bound, Table, handing_over
from tests.platforms import discord_server, slack_server, telegram_server
from tests.platforms.discord_server import DiscordServer
from tests.platforms.slack_server import SlackServer
from tests.platforms.telegram_server import TelegramServer

TITLE = "While nobody says a word, with every channel connected"
FLOOR_SENTENCE = "The floor is a Python that imports the three SDKs, pydantic-settings and structlog, and nothing else."
SECONDS, SHORT_SECONDS = 60, 6
MODULES = (
    "telegram",
    "telegram.request",
    "discord",
    "slack_sdk.web.async_client",
    "slack_sdk.socket_mode.aiohttp",
    "pydantic_settings",
    "structlog",
)
FLOOR = f"""
import warnings
warnings.simplefilter("ignore")
import {", ".join(MODULES)}
print("ready", flush=True)
input()
"""
AGENTD = Path(sys.executable).with_name("agentd")
MB = 1024


async def serve() -> None:
    """Run the loopback platforms until the input ends; print a configuration, then a line when the daemon is there."""
    async with TelegramServer() as telegram, DiscordServer() as discord, SlackServer() as slack:
        print(write_config(telegram, discord, slack), flush=True)
        while not (telegram.calls and discord.gateway.is_connected and slack.lines.open):  # noqa: ASYNC110 - three events
            await asyncio.sleep(0.05)
        print(json.dumps("connected"), flush=True)
        await asyncio.to_thread(sys.stdin.read)


def write_config(telegram: TelegramServer, discord: DiscordServer, slack: SlackServer) -> str:
    """Return the configuration of a daemon for these platforms, as one line of JSON."""
    return json.dumps(
        f'[channels_config.telegram]\ntoken = "{telegram_server.TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
        f'[channels_config.discord]\ntoken = "{discord_server.TOKEN}"\napi_base_url = "{discord.base_url}"\n'
        f'gateway_url = "{discord.gateway_url}"\n'
        f'[channels_config.slack]\nbot_token = "{slack_server.BOT_TOKEN}"\napp_token = "{slack_server.APP_TOKEN}"\n'
        f'api_base_url = "{slack.base_url}"\n'
        '[provider]\nkind = "openai"\nbase_url = "http://127.0.0.1:9/v1"\nmodel = "none"\n'
    )


@contextmanager
def started(*command: str, log: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """Start a process, and end it with the block."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AGENTD_")}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
    ) as process:
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()


def line_of(process: subprocess.Popen[str]) -> str:
    """Return the next line of a process's output."""
    assert process.stdout
    line = process.stdout.readline()
    assert line, "the process ended before it was ready"
    return line


def resident_kb(pid: int) -> int:
    """Return a process's resident memory in kB."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used so far, in all its threads."""
    # What clock_getcpuclockid(3) returns for a process.
    return time.clock_gettime(~pid << 3 | 2)


def measure(table: Table, seconds: float) -> None:
    """Start floor and daemon, wait until the daemon is connected everywhere, and measure both for `seconds`."""
    with (
        tempfile.TemporaryDirectory() as folder,
        started(sys.executable, __file__, "--serve") as platforms,
        started(sys.executable, "-c", FLOOR) as floor,
    ):
        config = Path(folder) / "config.toml"
        config.write_text(f'workspace = "{folder}/workspace"\n{json.loads(line_of(platforms))}')
        line_of(floor)
        with started(str(AGENTD), "--config", str(config), "run") as daemon:
            line_of(platforms)
            pids = (floor.pid, daemon.pid)
            before, began = [cpu_seconds(pid) for pid in pids], time.monotonic()
            time.sleep(seconds)
            passed = time.monotonic() - began
            shares = [100 * (cpu_seconds(pid) - used) / passed for pid, used in zip(pids, before, strict=True)]
            floor_kb, kb = (resident_kb(pid) for pid in pids)
    table.add("resident", kb / MB, "MB", floor_kb / MB, Bound("ratio", 1.25))
    table.add(f"processor, over {passed:.0f} s", shares[1], "% of a core", shares[0], Bound("figure", 1.0))


def main() -> None:
    """Measure, or with `--serve` run the platforms."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve())
        return
    with handing_over(TITLE, FLOOR_SENTENCE) as (given, table):
        measure(table, given.size(SHORT_SECONDS, SECONDS))


if __name__ == "__main__":
    main()

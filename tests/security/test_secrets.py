"""These tests check that no secret gets into the log, errors, metrics, files or the command line."""

from __future__ import annotations

import asyncio
import signal
import socket
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from tests.flow.commands import run_command
from tests.flow.process import AGENTD, environment, scrape
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.discord_server import DiscordServer
from tests.platforms.openai_server import Behaviour, Call, OpenAIServer
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer
from tests.platforms.telegram_server import TOKEN, TelegramServer
from tests.security.planted import (
    BACKGROUND,
    FALLBACK,
    PASSWORD,
    PROVIDER,
    SECRETS,
    echoing,
    leaking_files,
    leaks,
    spellings,
)

HEARD = ('"event": "telegram_connected"', '"event": "discord_connected"', '"event": "slack_connected"')


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def credentials(folder: Path, secrets: Mapping[str, str]) -> str:
    """Write these as systemd would, and return where."""
    place = folder / "credentials"
    place.mkdir(mode=0o700)
    for name, secret in secrets.items():
        (place / name).write_text(f"{secret}\n")
    return str(place)


class Output:
    """What a daemon writes, read as it comes."""

    def __init__(self, process: Process) -> None:
        """Begin with nothing."""
        self.process = process
        self.log = b""

    async def until(self, *texts: str, times: int = 1) -> None:
        """Read on until all of these were logged so often, or it has ended."""
        assert self.process.stderr
        while not all(self.log.count(text.encode()) >= times for text in texts):
            line = await self.process.stderr.readline()
            if not line:
                return
            self.log += line

    async def end(self) -> bytes:
        """Ask it to end; return all that it wrote."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGTERM)
        out, errors = await self.process.communicate()
        return self.log + out + errors


@asynccontextmanager
async def daemon(config: Path, extra: Mapping[str, str], *words: str) -> AsyncIterator[Output]:
    process = await asyncio.create_subprocess_exec(
        AGENTD, "--config", str(config), *(words or ("run",)), stdin=PIPE, stdout=PIPE, stderr=PIPE,
        env=environment(extra), cwd=config.parent, limit=1 << 24,
    )  # fmt: skip
    try:
        async with asyncio.timeout(45):
            yield Output(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


def quoting(status: int) -> Behaviour:
    """Refuse, and quote the key, and the request's headers, in the words of the refusal."""

    async def behave(call: Call) -> web.StreamResponse:
        key = call.request.headers["Authorization"]
        said = f"Incorrect key {key}, {key.upper()}; you sent {dict(call.request.headers)}"
        body = {"error": {"message": said, "type": said, "code": said}, "detail": said}
        return web.json_response(body, status=status, headers={"Location": f"/{key}", "X-Key": key})

    return behave


def configured(folder: Path, where: Mapping[str, str], more: str = "") -> Path:
    """Write what is no secret, and the secrets that TOML may hold: the others come in other ways."""
    path = folder / "config.toml"
    path.write_text(
        f'workspace = "{folder / "workspace"}"\n{more}[log]\nlevel = "debug"\nformat = "json"\n'
        f'[provider]\nkind = "openai"\nbase_url = "{where["main"]}"\nmodel = "test"\napi_key = "{PROVIDER}"\n'
        f'[[provider.fallbacks]]\nkind = "openai"\nbase_url = "{where["main"]}"\nmodel = "other"\n'
        f'api_key = "{FALLBACK}"\n'
        f'[provider.background]\nkind = "openai"\nbase_url = "{where["background"]}"\nmodel = "clerk"\n'
        f'[channels_config.telegram]\napi_base_url = "{where["telegram"]}"\nallowed_users = ["*"]\n'
        f'[channels_config.discord]\napi_base_url = "{where["discord"]}"\ngateway_url = "{where["gateway"]}"\n'
        f'token = "{SECRETS["discord"]}"\nallowed_users = ["*"]\n'
        f'[channels_config.slack]\napi_base_url = "{where["slack"]}"\nallowed_users = ["*"]\n',
        encoding="utf-8",
    )
    return path


def in_other_ways(folder: Path) -> dict[str, str]:
    """Return the environment that holds, or leads to, the other secrets."""
    files = {"channels_config__slack__bot_token": BOT_TOKEN, "channels_config__slack__app_token": APP_TOKEN}
    return {
        "AGENTD_CHANNELS_CONFIG__TELEGRAM__TOKEN": TOKEN,
        "AGENTD_PROVIDER__BACKGROUND__API_KEY": BACKGROUND,
        "CREDENTIALS_DIRECTORY": credentials(folder, files),
    }


def told_by_commands(config: Path) -> bytes:
    """Return what commands print that have the settings loaded, or ask the daemon."""
    commands = ("status", "status --json", "sessions list", "tasks list", "memory list", "people list", "trace 1")
    done = [run_command(config, *command.split()) for command in commands]
    return b"".join(one.stdout + one.stderr for one in done)


async def test_a_daemon_that_works_and_is_refused_now_and_then_tells_no_secret(tmp_path: Path) -> None:
    clerk, port = ClerkServer(), free_port()
    async with AsyncExitStack() as stack:
        model, telegram = (
            await stack.enter_async_context(OpenAIServer()),
            await stack.enter_async_context(TelegramServer()),
        )
        discord, slack = (
            await stack.enter_async_context(DiscordServer()),
            await stack.enter_async_context(SlackServer()),
        )
        await stack.enter_async_context(clerk)
        where = {
                "main": model.base_url, "background": clerk.base_url, "telegram": telegram.base_url,
                "discord": discord.base_url, "gateway": discord.gateway_url, "slack": slack.base_url,
            }  # fmt: skip
        config = configured(tmp_path, where, f'[service]\nmetrics_listen = "127.0.0.1:{port}"\n')
        async with daemon(config, in_other_ways(tmp_path)) as output:
            await output.until(*HEARD)
            telegram.post("By the way, my cat is called Tom these days.")
            await output.until('"event": "exchange_learnt"')
            for number, status in enumerate((403, 400, 401), 1):
                model.enqueue(quoting(status), quoting(status))  # the main one, and the one that stands in
                telegram.post(f"And what else do you know, I wonder? {status}")
                await output.until('"event": "turn_finished"', times=1 + number)
            line = await asyncio.to_thread(Path(f"/proc/{output.process.pid}/cmdline").read_bytes)
            figures = await asyncio.to_thread(scrape, port)
            told = await asyncio.to_thread(told_by_commands, config)
            log = await output.end()
    keys = {request.headers["authorization"].removeprefix("Bearer ") for request in model.requests}

    assert keys >= {PROVIDER, FALLBACK}
    assert clerk.requests[0].headers["authorization"] == f"Bearer {BACKGROUND}"
    assert log.count(b'"event": "provider_failed"') == 3
    assert log.count(b"[key]") >= 2
    assert [leaks(log), leaks(line), leaks(figures.encode()), leaks(told)] == [[], [], [], []]
    assert list(leaking_files(tmp_path / "workspace")) == []


@pytest.mark.parametrize("statuses", [(401,), (500, 400, 302, 403)])
async def test_a_daemon_whose_platforms_say_back_what_they_are_told_tells_no_secret(
    tmp_path: Path, statuses: tuple[int, ...]
) -> None:
    async with echoing(statuses) as (address, asked):
        names = ("main", "background", "telegram", "discord", "slack")
        where = dict.fromkeys(names, address) | {"gateway": address.replace("http", "ws", 1)}
        async with daemon(configured(tmp_path, where), in_other_ways(tmp_path)) as output:
            await output.until("telegram_unavailable", "discord_unavailable", "slack_unavailable", times=2)
            told = await asyncio.to_thread(told_by_commands, tmp_path / "config.toml")
            log = await output.end()

    assert [TOKEN in path for path in asked].count(True) >= 1
    assert [leaks(log), leaks(told)] == [[], []]
    assert list(leaking_files(tmp_path / "workspace")) == []


def with_database(folder: Path, url: str) -> Path:
    config = folder / "config.toml"
    config.write_text(f'workspace = "{folder / "workspace"}"\n[storage]\nurl = "{url}"\n', encoding="utf-8")
    return config


@pytest.mark.parametrize("words", ["memory list", "tasks list"])
@pytest.mark.parametrize(
    "address", ["x@{secret}@127.0.0.1:1", "x/{secret}@127.0.0.1:1", "{secret}%ZZ@127.0.0.1", "x:{secret}@127.0.0.1:1x"]
)
def test_an_address_that_the_driver_would_misread_is_refused_without_its_password(
    tmp_path: Path, words: str, address: str
) -> None:
    config = with_database(tmp_path, f"postgresql://agentd:{address.format(secret=PASSWORD)}/agentd")
    done = run_command(config, *words.split())

    assert done.returncode != 0
    assert b"storage.url" in done.stderr
    assert leaks(done.stdout + done.stderr) == []


@pytest.mark.parametrize("store", ["memory", "tasks"])
async def test_a_database_that_cannot_be_had_is_told_without_its_password(tmp_path: Path, store: str) -> None:
    config = with_database(tmp_path, f"postgresql://agentd:{PASSWORD}@127.0.0.1:1/agentd")
    async with daemon(config, {}, store, "list") as output:
        await output.until(f"{store}_database_unreachable")

    assert b"refused" in output.log
    assert leaks(output.log) == []


def test_the_search_for_secrets_finds_each_in_every_spelling() -> None:
    assert all(
        leaks(b"x" + spelling + b"y") == [name] or name in leaks(spelling)
        for name, one in SECRETS.items()
        for spelling in spellings(one)
    )
    assert leaks(b"nothing of the kind") == []

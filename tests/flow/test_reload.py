"""These tests check SIGHUP: what can be reloaded is, the rest is named, and a wrong configuration changes nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from agentd.service.notifying import Notifier
from agentd.settings import Settings, load_settings
from tests.flow.bot import open_bot
from tests.flow.process import SECRET, started, write_config
from tests.platforms.notify_socket import open_notify_socket
from tests.platforms.openai_behaviours import slow
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer, texts

ADA = 7


def channel(platform: TelegramServer, allowed: str) -> str:
    return (
        f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{platform.base_url}"\n'
        f"allowed_users = {allowed}\n"
    )


async def until_logged(process: Process, event: str) -> list[dict[str, Any]]:
    """Return what is logged up to this event."""
    assert process.stderr
    logged: list[dict[str, Any]] = []
    while not logged or logged[-1]["event"] != event:
        line = await process.stderr.readline()
        assert line, f"{event} was never logged"
        if line.startswith(b"{"):
            logged.append(json.loads(line))
    return logged


async def until_shown(platform: TelegramServer, text: str) -> None:
    while not any(text in shown for shown in texts(platform.screen(ADA))):
        platform.changed.clear()
        await platform.changed.wait()


async def test_people_limits_model_and_log_change_and_the_rest_is_named(tmp_path: Path) -> None:
    async with (
        open_notify_socket(tmp_path) as supervisor,
        OpenAIServer() as first,
        OpenAIServer() as second,
        TelegramServer() as platform,
    ):
        config = write_config(tmp_path, first.base_url, channel(platform, "[8]"))
        extra = {"NOTIFY_SOCKET": supervisor.address}
        async with started(config, extra=extra, stderr=PIPE) as process:
            await supervisor.until(lambda: supervisor.count("READY") > 0)
            platform.post("Let me in")
            await until_shown(platform, "I do not know you yet")
            more = f'{channel(platform, "[7]")}[log]\nlevel = "warning"\n[tasks]\nconcurrency = 2\n'
            write_config(tmp_path, second.base_url, more)
            process.send_signal(signal.SIGHUP)
            logged = await until_logged(process, "reload_ignored")
            await supervisor.until(lambda: supervisor.count("READY") > 1)
            platform.post("Hello")
            await until_shown(platform, "You said: Hello")
            write_config(tmp_path, second.base_url, f"[limits]\ntokens_per_day = 1\n{more}")
            process.send_signal(signal.SIGHUP)
            await supervisor.until(lambda: supervisor.count("READY") > 2)
            platform.post("And now?")
            await until_shown(platform, "a whole day allows 1")
            process.send_signal(signal.SIGTERM)
            _, rest = await process.communicate()

    assert logged[-1]["key"] == "tasks.concurrency"
    assert logged[-1]["advice"] == "restart the daemon to take it in"
    assert supervisor.words == ["READY", "RELOADING", "READY", "RELOADING", "READY", "STOPPING"]
    assert (len(first.requests), len(second.requests)) == (0, 1)
    assert b'"level": "info"' not in rest
    assert SECRET not in json.dumps(logged)


WRONG = {
    "[gate]\nmessages_per_minute = 0\n": "gate.messages_per_minute",
    "[gat]\npairing = false\n": "gat",
    "[gate": "TOML",
}


async def test_a_configuration_that_is_wrong_changes_nothing_and_says_why(tmp_path: Path) -> None:
    refused: list[dict[str, Any]] = []
    async with open_notify_socket(tmp_path) as supervisor, OpenAIServer() as model, TelegramServer() as platform:
        config = write_config(tmp_path, model.base_url, channel(platform, "[7]"))
        async with started(config, extra={"NOTIFY_SOCKET": supervisor.address}) as process:
            await supervisor.until(lambda: supervisor.count("READY") > 0)
            for wrong in WRONG:
                write_config(tmp_path, "http://127.0.0.1:9/v1", f"{wrong}{channel(platform, '[8]')}")
                process.send_signal(signal.SIGHUP)
                refused.append((await until_logged(process, "reload_refused"))[-1])
            await supervisor.until(lambda: supervisor.count("READY") > len(WRONG))
            platform.post("Hello")
            await until_shown(platform, "You said: Hello")

    assert {said["effect"] for said in refused} == {"nothing has changed"}
    assert [fault for fault, said in zip(WRONG.values(), refused, strict=True) if fault not in said["reason"]] == []


async def test_a_reply_that_was_begun_ends_with_the_model_it_was_asked_of(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with (
        open_notify_socket(tmp_path) as supervisor,
        OpenAIServer() as first,
        OpenAIServer() as second,
        TelegramServer() as platform,
    ):
        first.enqueue(slow(["begun ", "and ended"], gate))
        config = write_config(tmp_path, first.base_url, channel(platform, "[7]"))
        async with started(config, extra={"NOTIFY_SOCKET": supervisor.address}) as process:
            await supervisor.until(lambda: supervisor.count("READY") > 0)
            platform.post("Hello")
            await until_shown(platform, "begun")
            write_config(tmp_path, second.base_url, channel(platform, "[7]"))
            process.send_signal(signal.SIGHUP)
            await until_logged(process, "reloaded")
            gate.set()
            await until_shown(platform, "begun and ended")
            platform.post("And now?")
            await until_shown(platform, "You said: And now?")

    assert (len(first.requests), len(second.requests)) == (1, 1)


async def test_a_reload_that_fails_by_a_fault_of_the_program_ends_nothing(tmp_path: Path) -> None:
    async with open_notify_socket(tmp_path) as supervisor, open_bot(tmp_path) as bot:
        bot.notifier = Notifier(supervisor.address)

        def load() -> Settings:
            settings = load_settings(tmp_path / "config.toml", {})
            if supervisor.count("RELOADING") < 2:
                raise LookupError("a bug in reading")
            provider = settings.provider.model_copy(update={"kind": "a bug in opening"})
            return settings.model_copy(update={"provider": provider})

        bot.load = load
        with capture_logs() as logs:
            async with bot.run():
                await supervisor.until(lambda: supervisor.count("READY") == 1)
                signal.raise_signal(signal.SIGHUP)
                await supervisor.until(lambda: supervisor.count("READY") == 2)
                signal.raise_signal(signal.SIGHUP)
                await supervisor.until(lambda: supervisor.count("READY") == 3)
                bot.telegram.post("Hello")
                await bot.settled()

    assert [said["event"] for said in logs if said["event"].startswith("reload")] == ["reload_failed"] * 2
    assert texts(bot.telegram.screen()) == ["You said: Hello"]

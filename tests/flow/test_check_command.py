"""These tests check `agentd check`, beside a daemon and without one: what is well, what is not, and what to do."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from tests.flow.bot import open_bot
from tests.flow.commands import run_command
from tests.flow.process import SECRET, write_config
from tests.platforms import discord_server, telegram_server
from tests.platforms.discord_server import MESSAGE_CONTENT, DiscordServer
from tests.platforms.openai_behaviours import unauthorised
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer
from tests.platforms.telegram_server import TelegramServer


async def check(config: Path, *words: str) -> tuple[int, dict[str, tuple[str, str]], str]:
    """Return the exit code, what was found by what was looked at, and all that was said."""
    done = await asyncio.to_thread(run_command, config, "check", "--json", *words)
    found = json.loads(done.stdout)
    by_name = {finding["check"]: (finding["state"], finding["text"]) for finding in found}
    return done.returncode, by_name, (done.stdout + done.stderr).decode()


def sections(telegram: TelegramServer, slack: SlackServer, discord: DiscordServer) -> str:
    return f"""
[channels_config.telegram]
token = "{telegram_server.TOKEN}"
api_base_url = "{telegram.base_url}"
[channels_config.slack]
bot_token = "{BOT_TOKEN}"
app_token = "{APP_TOKEN}"
api_base_url = "{slack.base_url}"
[channels_config.discord]
token = "{discord_server.TOKEN}"
api_base_url = "{discord.base_url}"
gateway_url = "{discord.gateway_url}"
"""


async def test_everybody_is_asked_and_names_whose_the_tokens_are(tmp_path: Path) -> None:
    async with (
        TelegramServer() as telegram,
        SlackServer() as slack,
        DiscordServer() as discord,
        OpenAIServer() as model,
    ):
        config = write_config(tmp_path, model.base_url, sections(telegram, slack, discord))
        config.chmod(0o600)
        code, found, said = await check(config)

    assert {name: state for name, (state, _) in found.items() if state != "ok"} == {}
    assert code == 0
    assert found["telegram"][1] == "the bot @agentd_bot"
    assert found["slack"][1].startswith("the app @")
    assert found["discord"][1].startswith("the bot ")
    assert found["provider"][1] == "test answers"
    assert found["lock"][1] == "no daemon runs"
    assert not any(
        secret in said for secret in (SECRET, telegram_server.TOKEN, discord_server.TOKEN, BOT_TOKEN, APP_TOKEN)
    )
    assert [name for name, _ in telegram.calls] == ["getMe"]
    assert discord.gateway.identified == []
    assert not (tmp_path / "workspace").exists()


async def test_each_fault_says_what_to_do_about_it(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, SlackServer() as slack, DiscordServer() as discord:
        slack.revoke()
        discord.gateway.allowed.discard(MESSAGE_CONTENT)
        text = sections(telegram, slack, discord).replace(telegram_server.TOKEN, "100:another")
        async with OpenAIServer() as model:
            model.enqueue(unauthorised())
            config = write_config(tmp_path, model.base_url, text)
            config.chmod(0o644)
            code, found, said = await check(config)

    assert code == 1
    assert {name for name, (state, _) in found.items() if state == "failed"} == {
        "telegram",
        "slack",
        "discord",
        "provider",
        "modes",
    }
    assert "copy it again from @BotFather, or correct the address" in found["telegram"][1]
    assert "the token was revoked: install the app again" in found["slack"][1]
    assert "switch it on at https://discord.com/developers" in found["discord"][1]
    assert "refused the key: set provider.api_key" in found["provider"][1]
    assert f"others may read {config}: chmod go= {config}" in found["modes"][1]
    assert SECRET not in said
    assert "100:another" not in said


async def test_who_cannot_be_reached_is_told_apart_from_who_refuses(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, OpenAIServer() as model:
        pass
    section = f'[channels_config.telegram]\ntoken = "{telegram_server.TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
    code, found, _ = await check(write_config(tmp_path, model.base_url, section))

    assert code == 1
    assert "cannot be asked" in found["telegram"][1]
    assert "see to the network" in found["telegram"][1]
    assert "refused the connection: check that it runs, and provider.base_url" in found["provider"][1]


async def test_offline_nobody_is_asked_but_what_can_be_seen_is_looked_at(tmp_path: Path) -> None:
    async with TelegramServer() as telegram, OpenAIServer() as model:
        section = (
            f'[channels_config.telegram]\ntoken = "{telegram_server.TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
        )
        config = write_config(tmp_path, model.base_url, f'{section}[service]\nmetrics_listen = "0.0.0.0:9464"\n')
        config.chmod(0o600)
        code, found, _ = await check(config, "--offline")
        config.write_text(config.read_text().replace(telegram_server.TOKEN, "no token"))
        worse, found_worse, _ = await check(config, "--offline")

    assert code == 0
    assert telegram.calls == []
    assert model.requests == []
    assert [found[name][0] for name in ("telegram", "provider")] == ["skipped", "skipped"]
    assert "without a password, for everybody who reaches this machine" in found["metrics"][1]
    assert worse == 1
    assert "copy it whole from @BotFather" in found_worse["telegram"][1]


async def test_beside_a_running_daemon_it_disturbs_nothing(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot, bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        (tmp_path / "config.toml").chmod(0o600)
        code, found, _ = await check(tmp_path / "config.toml")
        bot.telegram.post("Are you there?")
        await bot.shows("You said: Are you there?")

    assert found["lock"] == ("ok", f"a daemon runs (process {os.getpid()})")
    assert found["telegram"] == ("ok", "the bot @agentd_bot")
    assert found["storage"][0] == found["disk"][0] == "ok"
    assert code == 0


async def test_open_files_of_the_workspace_are_named(tmp_path: Path) -> None:
    async with OpenAIServer() as model:
        config = write_config(tmp_path, model.base_url)
        config.chmod(0o600)
        sessions = tmp_path / "workspace" / "sessions"
        sessions.mkdir(mode=0o700, parents=True)
        sessions.parent.chmod(0o700)
        (sessions / "a.jsonl").touch(0o600)
        code, found, _ = await check(config)
        (sessions / "a.jsonl").chmod(0o644)
        (sessions.parent / "memory.db").write_bytes(b"no database at all")
        worse, found_worse, _ = await check(config)

    assert code == 0
    assert found["modes"] == ("ok", "nobody else may read what is private")
    assert worse == 1
    assert f"and 1 more: chmod -R go= {sessions.parent}" in found_worse["modes"][1]
    assert "memory.db is no SQLite database" in found_worse["storage"][1]


def test_a_configuration_behind_a_link_is_looked_at_where_it_is(tmp_path: Path) -> None:
    kept = tmp_path / "my own.toml"
    kept.write_text(f'workspace = "{tmp_path}/w"\n[channels_config.telegram]\ntoken = "{telegram_server.TOKEN}"\n')
    kept.chmod(0o644)
    config = tmp_path / "config.toml"
    config.symlink_to(kept)
    done = run_command(config, "check", "--offline")

    assert done.returncode == 1
    assert f"others may read {kept}: chmod go= '{kept}'" in done.stdout.decode()


def test_a_workspace_that_is_no_folder_is_told_and_no_daemon_runs_there(tmp_path: Path) -> None:
    (tmp_path / "workspace").symlink_to("nowhere")
    (tmp_path / "file").touch()
    config = tmp_path / "config.toml"
    config.write_text(f'workspace = "{tmp_path / "workspace"}"\n')
    done = run_command(config, "check")
    config.write_text(f'workspace = "{tmp_path / "file"}"\n')
    status = run_command(config, "status")

    assert done.returncode == 1
    assert "workspace is no folder: move it away, or set another workspace" in done.stdout.decode()
    assert f"no daemon runs on {tmp_path / 'file'}" in status.stderr.decode()


def test_a_configuration_that_cannot_be_used_is_78_and_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[provider]\nkind = "openai"\napi_key = "sk-planted"\n')
    done = run_command(config, "check")
    as_json = run_command(config, "check", "--json")

    assert done.returncode == as_json.returncode == 78
    assert done.stdout == b""
    assert done.stderr.decode().startswith(f"agentd: {config}: provider.model: missing")
    [finding] = json.loads(as_json.stdout)
    assert finding["check"] == "configuration"
    assert finding["state"] == "failed"
    assert b"sk-planted" not in done.stderr + as_json.stdout


def test_for_people_each_finding_is_a_line(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'workspace = "{tmp_path / "workspace"}"\n')
    done = run_command(config, "check")
    lines = done.stdout.decode().splitlines()

    assert done.returncode == 0
    assert [line.split()[:2] for line in lines] == [
        ["ok", name] for name in ("configuration", "console", "provider", "storage", "disk", "modes", "lock")
    ]


def test_a_database_that_cannot_be_reached_is_told_without_its_password(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'workspace = "{tmp_path / "workspace"}"\n'
        '[storage]\nurl = "postgresql://agentd:planted-word@127.0.0.1:1/agentd"\n'
    )
    config.chmod(0o600)
    done = run_command(config, "check")

    assert done.returncode == 1
    assert "failed   storage        storage.url: no connection to the server" in done.stdout.decode()
    assert b"planted-word" not in done.stdout + done.stderr

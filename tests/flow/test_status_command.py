"""These tests check `agentd status`, beside a running daemon and without one."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from tests.flow.bot import Bot, open_bot
from tests.flow.commands import run_command
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.openai_behaviours import unauthorised
from tests.platforms.telegram_behaviours import refusing

CONFLICT = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running"


async def status(bot: Bot, *words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(run_command, bot.folder / "config.toml", "status", *words)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def test_the_running_daemon_tells_its_channels_sessions_and_size(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot, bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        code, output, _ = await status(bot)
        _, as_json, _ = await status(bot, "--json")

    assert code == 0
    assert "sessions in memory: 1, messages waiting: 0" in output
    assert "telegram: well (heard" in output
    told = json.loads(as_json)
    assert told["channels"][0]["name"] == "telegram"
    assert told["rss_bytes"] > 10_000_000


async def test_another_program_with_the_same_token_is_named(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot:
        bot.telegram.enqueue("getUpdates", *[refusing(409, CONFLICT)] * 1000)
        async with bot.run():
            await bot.until(lambda: bot.channel is not None and bot.channel.health.fault != "")
            _, output, _ = await status(bot)

    assert "409" in output
    assert "another program" in output


async def test_what_ails_the_only_model_is_told_until_it_answers(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot:
        bot.model.enqueue(unauthorised())
        async with bot.run():
            bot.telegram.post("Hello")
            await bot.settled()
            _, refused, _ = await status(bot)
            bot.telegram.post("Hello again")
            await bot.settled()
            _, answered, _ = await status(bot)

    assert "provider, test: the model's server at 127.0.0.1:" in refused
    assert "refused the key: set provider.api_key\n" in refused
    assert "provider, test: well\n" in answered


async def test_models_that_stand_in_for_each_other_are_told_with_what_ails_them(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot, AnthropicServer() as spare:
        table = f'kind = "anthropic"\nbase_url = "{spare.base_url}"\nmodel = "spare"\napi_key = "sk"'
        bot.model.enqueue(unauthorised())
        async with bot.run(f"[[provider.fallbacks]]\n{table}"):
            bot.telegram.post("Hello")
            await bot.settled()
            _, output, _ = await status(bot)

    assert "provider, test: the model's server at 127.0.0.1:" in output
    assert "refused the key: set provider.api_key\n" in output
    assert "provider.fallbacks[0], spare: well\n" in output


async def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path) -> None:
    async with open_bot(tmp_path) as bot:
        async with bot.run():
            bot.telegram.post("Hello")
            await bot.settled()
            (bot.folder / "workspace" / "control.sock").unlink()
            _, _, unheard = await status(bot)
        code, output, errors = await status(bot)

    assert f"a daemon runs (process {os.getpid()}), and cannot be asked" in unheard
    assert (code, output) == (1, "")
    assert "no daemon runs" in errors

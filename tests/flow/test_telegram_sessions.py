"""These tests check `agentd sessions` on a conversation that was held on Telegram."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import Bot, open_bot
from tests.flow.process import AGENTD, environment
from tests.platforms.telegram_server import Document, Photo, Sound


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


async def sessions(bot: Bot, *words: str) -> str:
    """Run `agentd sessions`, which must succeed, and return what it printed."""

    def run() -> subprocess.CompletedProcess[bytes]:
        command: list[str | Path] = [AGENTD, "--config", bot.folder / "config.toml", "sessions", *words]
        return subprocess.run(command, capture_output=True, env=environment(), timeout=20, check=False)

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    return done.stdout.decode()


async def test_files_and_albums_are_known_to_show_verify_and_export(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Read", media=Document(b"Hello there", "no\x1b[31mtes.txt"))
        await bot.settled()
        bot.telegram.post_album([Photo(), Photo()], "And look")
        await bot.settled(2)
        bot.telegram.post(media=Sound("voice"))
        await bot.settled(3)
    key = json.loads(await sessions(bot, "list", "--json"))[0]["key"]
    shown, exported = await sessions(bot, "show", key), await sessions(bot, "export", key, "--format", "markdown")

    assert await sessions(bot, "verify", "--json") == "[]\n"
    assert (await sessions(bot, "export", key)).encode() == bot.sessions()[0].read_bytes()
    for text in (shown, exported):
        assert "tes.txt, text/plain]" in text
        assert "\x1b" not in text
        assert text.count(".jpg, image/jpeg]") == 2
        assert "[voice, audio/ogg]" in text


async def test_the_record_of_a_plain_message_has_no_field_of_albums_or_files(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        bot.telegram.post_album([Photo(), Photo()], "Look")
        await bot.settled(2)
    plain, *parts = bot.records("user")

    assert set(plain) == {"seq", "ts", "type", "role", "content", "source", "attachments", "trace"}
    assert {frozenset(part) - set(plain) for part in parts} == {frozenset({"album", "goes_on"})}
    assert {frozenset(part["attachments"][0]) for part in parts} == {
        frozenset({"name", "media_type", "size_bytes", "path"})
    }

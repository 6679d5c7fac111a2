"""These tests check the pairing code for strangers on Telegram, with the real `agentd pair` beside the daemon."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.flow.bot import ADA, GROUP, Bot, open_bot
from tests.flow.process import AGENTD, environment
from tests.flow.soundness import check_sessions
from tests.platforms.telegram_server import DOWNLOAD, Document, Photo, texts

EVE = 66
SECRET = "My secret is a blue whale"
NOBODY = "[]"
CODE = re.compile(r"\b[A-Z0-9]{8}\b")


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened
        check_sessions(opened)


async def pair(bot: Bot, *words: str) -> str:
    """Run the command line beside the daemon, and return what it printed."""

    def run() -> subprocess.CompletedProcess[bytes]:
        command: list[str | Path] = [AGENTD, "--config", bot.folder / "config.toml", "pair", *words]
        return subprocess.run(command, capture_output=True, env=environment(), timeout=20, check=False)

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def holding(bot: Bot, text: str) -> list[str]:
    """Return the names of the workspace's files that hold this text anywhere in their bytes."""
    files = (path for path in bot.workspace.rglob("*") if path.is_file())
    return [path.name for path in files if text.encode() in path.read_bytes()]


async def shown_code(bot: Bot) -> str:
    [code] = CODE.findall((await bot.shows("Your code is", EVE)).text)[:1]
    return str(code)


async def test_a_stranger_is_shown_a_code_once_and_nothing_of_them_is_kept(bot: Bot) -> None:
    async with bot.run(allowed=NOBODY):
        bot.telegram.post(SECRET, sender=EVE, chat=EVE)
        await shown_code(bot)
        message_id = bot.telegram.post("Hello?", sender=EVE, chat=EVE)
        bot.telegram.post_edit(message_id, f"{SECRET}!", chat=EVE)
        await bot.until(lambda: not bot.telegram.unconfirmed)
        assert holding(bot, "blue whale") == []

    assert len(bot.telegram.screen(EVE)) == 1
    assert bot.model.requests == []
    assert bot.sessions() == []
    assert holding(bot, "blue whale") == []


async def test_a_code_lets_a_stranger_in_while_the_daemon_runs_and_tells_them(bot: Bot) -> None:
    async with bot.run(allowed=NOBODY):
        bot.telegram.post(SECRET, sender=EVE, chat=EVE)
        await pair(bot, "approve", await shown_code(bot))
        await bot.until(lambda: len(bot.telegram.screen(EVE)) == 2)
        bot.telegram.post("Hello", sender=EVE, chat=EVE)
        await bot.settled()
    async with bot.run(allowed=NOBODY):
        bot.telegram.post("Again", sender=EVE, chat=EVE)
        await bot.settled(2)

    assert texts(bot.telegram.screen(EVE))[2:] == ["You said: Hello", "You said: Again"]
    assert bot.asked() == ["Hello", "Again"]
    assert "blue whale" not in "".join(texts(bot.telegram.screen(EVE)))


async def test_a_code_is_not_shown_in_a_group(bot: Bot) -> None:
    async with bot.run(allowed=f'["{ADA}"]', channel='groups = "all"'):
        bot.telegram.post(f"@agentd_bot {SECRET}", sender=EVE, chat=GROUP)
        bot.telegram.post("Hello", sender=ADA, chat=GROUP)
        await bot.settled()

    assert texts(bot.telegram.screen(GROUP)) == ["You said: Hello"]
    assert bot.telegram.screen(EVE) == []
    assert holding(bot, "blue whale") == []
    assert bot.asked() == ["Hello"]


async def test_a_strangers_file_is_never_fetched(bot: Bot) -> None:
    async with bot.run(allowed=NOBODY):
        bot.telegram.post(SECRET, sender=EVE, chat=EVE, media=Document(b"blue whale"))
        bot.telegram.post_album([Photo(), Photo()], sender=EVE, chat=EVE)
        await shown_code(bot)
        await bot.until(lambda: not bot.telegram.unconfirmed)

    assert {name for name, _ in bot.telegram.calls}.isdisjoint({"getFile", DOWNLOAD})
    assert holding(bot, "blue whale") == []
    assert len(bot.telegram.screen(EVE)) == 1


async def test_without_pairing_a_stranger_hears_nothing(bot: Bot) -> None:
    async with bot.run("[gate]\npairing = false", allowed=f'["{ADA}"]'):
        bot.telegram.post(SECRET, sender=EVE, chat=EVE)
        bot.telegram.post("Hello", sender=ADA, chat=ADA)
        await bot.settled()

    assert bot.telegram.screen(EVE) == []


async def test_a_name_on_the_list_lets_in_whoever_bears_it(bot: Bot) -> None:
    bot.telegram.name_person(ADA, "Ada", "AdaLovelace")
    async with bot.run(allowed='["@adalovelace"]'):
        bot.telegram.post("Hello", sender=ADA, chat=ADA)
        await bot.settled()

    assert texts(bot.telegram.screen(ADA)) == ["You said: Hello"]

"""These tests send five hundred nasty answers through the whole daemon: each arrives, with all its words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiohttp import web

from channels.base import Channel
from channels.pacing import UNPACED
from channels.settings import ChannelsSettings
from channels.telegram.channel import TelegramChannel
from channels.tools import Tools
from tests.flow.bot import WAITS, Bot, open_bot
from tests.platforms.openai_server import Call
from tests.platforms.telegram_server import Shown
from tests.unit.channels.telegram.test_nasty_markdown import COUNT, SYNTAX, WORD, texts

FIRST_CHAT = 1_000
AT_ONCE = 50


class UnpacedChannel(TelegramChannel):
    """Telegram as if it had no rates; the loopback server has none unless a test says so."""

    rates = UNPACED


class UnpacedBot(Bot):
    """A daemon that is as fast as it can be."""

    def _build(self, names: Sequence[str], section: ChannelsSettings, tools: Tools) -> dict[str, Channel]:
        del names
        self.channel = UnpacedChannel(section.telegram, tools, WAITS)
        return {"telegram": self.channel}


async def answer(call: Call) -> web.StreamResponse:
    """Say the text whose number was asked for: most of them at once, some in pieces, so that they grow."""
    number = int(call.asked.last_user_text)
    text = texts()[number]
    size = len(text) if number % 10 else len(text) // 3 + 1
    await call.open()
    for start in range(0, len(text), size):
        await call.say(text[start : start + size])
    return await call.finish()


def said(shown: Sequence[Shown]) -> str:
    """Everything that a person gets, the addresses behind the words too."""
    addresses = [entity["url"] for message in shown for entity in message.entities if "url" in entity]
    return "\n".join(("".join(message.text for message in shown), *addresses))


def lost_words(number: int, shown: Sequence[Shown]) -> dict[str, int]:
    # The server leaves out what the real one does not show either: so does the comparison.
    source = re.sub("[\0-\x08\x0b-\x1f]", " ", texts()[number])
    text = said(shown).lower()  # as the server writes a link's host
    words = Counter(WORD.findall(SYNTAX.sub(" ", source.lower())))
    return {word: count for word, count in words.items() if text.count(word) < count}


@pytest.mark.parametrize("first", range(0, COUNT, AT_ONCE))
async def test_nasty_answers_all_arrive_with_their_words(first: int, tmp_path: Path) -> None:
    """Each in a chat of its own, side by side, and without the rates, which would take minutes."""
    texts()  # made before the time of the daemon begins
    chats = {FIRST_CHAT + number: number for number in range(first, first + AT_ONCE)}
    async with open_bot(tmp_path) as opened:
        bot = UnpacedBot(opened.folder, opened.telegram, opened.model)
        bot.model.enqueue(*[answer] * len(chats))
        async with bot.run():
            for chat, number in chats.items():
                bot.telegram.post(str(number), sender=chat, chat=chat)
            await bot.until(lambda: len(bot.model.requests) == len(chats))
        # A daemon that is asked to end sees its turns to their end.
        lost = [lost_words(number, bot.telegram.screen(chat)) for chat, number in chats.items()]

        assert [delivery["state"] for delivery in bot.records("delivery")] == ["sent"] * len(chats)
        assert {record["outcome"] for record in bot.records("assistant")} == {"complete"}
        assert [words for words in lost if words] == []
        assert bot.channel is not None
        assert bot.channel.health.counts["plain"] == 0

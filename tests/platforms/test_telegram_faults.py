"""These tests check that the loopback Telegram fails in every way that the real one does, as its library sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from telegram import Bot, MessageEntity
from telegram.error import BadRequest, InvalidToken, NetworkError, RetryAfter, TelegramError, TimedOut

from tests.platforms.telegram_behaviours import (
    cannot_parse_entities,
    delayed,
    drop_after_effect,
    drop_before_effect,
    failing,
    hang,
    hold_after_effect,
    html,
    malformed,
    slow,
    too_many_requests,
    unauthorized,
)
from tests.platforms.telegram_clients import open_bot
from tests.platforms.telegram_server import DOWNLOAD, Behaviour, Document, TelegramServer, texts

Opened = tuple[TelegramServer, Bot]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        both[0].post("one")
        yield both


@pytest.mark.parametrize(
    ("behaviour", "fault", "shown"),
    [
        (drop_before_effect(), NetworkError, []),
        (drop_after_effect(), NetworkError, ["a"]),
        (failing(502), NetworkError, []),
        (html(500), TelegramError, []),
        (html(502), TelegramError, []),
        (malformed(), TelegramError, []),
        (too_many_requests(3), RetryAfter, []),
        (unauthorized(), InvalidToken, []),
        (hang(), TimedOut, []),
        (hold_after_effect(), TimedOut, ["a"]),
    ],
    ids=[
        *("dropped before", "dropped after", "failing", "a page", "a page of a proxy", "malformed"),
        *("too many", "unauthorized", "hanging", "held"),
    ],
)
async def test_a_call_fails_once_as_it_is_told_and_the_next_is_as_usual(
    behaviour: Behaviour,
    fault: type[TelegramError],
    shown: list[str],
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PTB_TIMEDELTA", "true")  # otherwise the library warns of what RetryAfter will become
    server, bot = opened
    server.enqueue("sendMessage", behaviour)
    with pytest.raises(fault):
        await bot.send_message(7, "a", read_timeout=0.5)
    await bot.send_message(7, "b")

    assert texts(server.screen()) == [*shown, "b"]


async def test_the_next_formatted_text_is_refused_and_goes_through_without_its_formatting(opened: Opened) -> None:
    server, bot = opened
    server.enqueue("sendMessage", cannot_parse_entities(4))
    await bot.send_message(7, "plain")
    with pytest.raises(BadRequest, match=r"^Can't parse entities: can't find end of the entity"):
        await bot.send_message(7, "bold", entities=[MessageEntity("bold", 0, 4)])
    await bot.send_message(7, "bold")

    assert texts(server.screen()) == ["plain", "bold"]
    assert not server.has_script("sendMessage")


async def test_a_slow_answer_waits_for_the_test_and_a_delayed_one_for_the_time(opened: Opened) -> None:
    server, bot = opened
    gate = asyncio.Event()
    server.enqueue("sendMessage", slow(gate), delayed(0.001))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(bot.send_message(7, "a"), name="first")
        while not server.calls:
            server.changed.clear()
            await server.changed.wait()
        before = texts(server.screen())
        gate.set()
    second = await bot.send_message(7, "b")

    assert before == []
    assert (first.result().text, second.text) == ("a", "b")


async def test_a_stuck_poller_hears_nothing_and_another_poll_does(opened: Opened) -> None:
    server, bot = opened
    server.enqueue("getUpdates", hang())
    with pytest.raises(TimedOut):
        await bot.get_updates(timeout=0, read_timeout=0.2)

    assert [update.update_id for update in await bot.get_updates()] == server.unconfirmed


async def test_a_download_can_fail_too(opened: Opened) -> None:
    server, bot = opened
    server.post(media=Document())
    document = (await bot.get_updates())[-1].effective_message
    assert document is not None
    assert document.document is not None
    file = await bot.get_file(document.document.file_id)
    server.enqueue(DOWNLOAD, failing(), drop_before_effect())
    for _ in range(2):
        with pytest.raises(TelegramError):
            await file.download_as_bytearray()

    assert bytes(await file.download_as_bytearray()) == b"a document"
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.get(f"{server.base_url}/file/bot{bot.token}/none")).status_code == 404
        assert (await client.get(f"{server.base_url}/file/bot1:x/none")).status_code == 401

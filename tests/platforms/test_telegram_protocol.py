"""These tests check that the loopback Telegram keeps the rules of the real one that a bot can stumble over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.platforms.botapi.updates import OTHER_POLL
from tests.platforms.telegram_clients import RawClient, open_raw
from tests.platforms.telegram_server import MOST_UNITS


@pytest.fixture
async def bot() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        yield client


async def test_an_update_comes_again_until_a_higher_offset_confirms_it(bot: RawClient) -> None:
    for text in ("one", "two", "three"):
        bot.server.post(text)
    first = await bot.call("getUpdates", limit=2)
    again = await bot.call("getUpdates")
    rest = await bot.call("getUpdates", offset=first["result"][0]["update_id"] + 1)
    last = await bot.call("getUpdates", offset=-1)
    none = await bot.call("getUpdates", offset=last["result"][0]["update_id"] + 1)

    assert [update["message"]["text"] for update in first["result"]] == ["one", "two"]
    assert [update["message"]["text"] for update in again["result"]] == ["one", "two", "three"]
    assert [update["message"]["text"] for update in rest["result"]] == ["two", "three"]
    assert [update["message"]["text"] for update in last["result"]] == ["three"]
    assert (none, bot.server.unconfirmed) == ({"ok": True, "result": []}, [])


async def test_a_poll_waits_for_an_update_and_gives_way_to_the_next_poll(bot: RawClient) -> None:
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(bot.call("getUpdates", timeout=20))
        while not bot.server.calls:
            bot.server.changed.clear()
            await bot.server.changed.wait()
        second = tasks.create_task(bot.call("getUpdates", timeout=20))
        while len(bot.server.calls) < 2:
            bot.server.changed.clear()
            await bot.server.changed.wait()
        bot.server.post_edit(bot.server.post("one"), "two")

    assert first.result() == {"ok": False, "error_code": 409, "description": OTHER_POLL}
    assert [list(update)[1] for update in second.result()["result"]] == ["message", "edited_message"]


async def test_messages_are_sent_changed_and_removed_and_the_screen_shows_what_is_left(bot: RawClient) -> None:
    bot.server.post("one")
    ids = [(await bot.call("sendMessage", chat_id="7", text=text))["result"]["message_id"] for text in (" a ", "b")]
    changed = await bot.call("editMessageText", chat_id=7, message_id=ids[0], text="c")
    removed = await bot.call("deleteMessage", chat_id=7, message_id=ids[1])

    assert (changed["result"]["text"], removed["result"]) == ("c", True)
    assert [(shown.text, shown.past) for shown in bot.server.screen()] == [("c", ["a"])]
    assert [effect.method for effect in bot.server.effects[1:]] == [
        *("sendMessage", "sendMessage"),
        *("editMessageText", "deleteMessage"),
    ]


async def test_what_telegram_refuses_is_refused_in_its_words(bot: RawClient) -> None:
    nobody = await bot.refusal("sendMessage", chat_id=7, text="a")
    written = bot.server.post("one")
    sent = (await bot.call("sendMessage", chat_id=7, text="a"))["result"]["message_id"]

    assert nobody == (400, "Bad Request: chat not found")
    assert await bot.refusal("sendMessage", chat_id=7, text="") == (400, "Bad Request: message text is empty")
    assert await bot.refusal("sendMessage", chat_id=7, text=" ") == (400, "Bad Request: text must be non-empty")
    assert await bot.refusal("sendMessage", chat_id=7, text="😀" * (MOST_UNITS // 2) + "a") == (
        400,
        "Bad Request: message is too long",
    )
    same = await bot.refusal("editMessageText", chat_id=7, message_id=sent, text="a")
    assert same[1].startswith("Bad Request: message is not modified")
    assert await bot.refusal("editMessageText", chat_id=7, message_id=written, text="b") == (
        400,
        "Bad Request: message can't be edited",
    )
    assert await bot.refusal("deleteMessage", chat_id=7, message_id=99) == (
        400,
        "Bad Request: message to delete not found",
    )
    assert await bot.refusal("getMee") == (404, "Not Found: method not found")
    bot.token = "1:other"
    assert await bot.refusal("getMe") == (401, "Unauthorized")

"""These tests check that the loopback Telegram enforces its rate limits, and notes a bot that comes back too early."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.platforms.botapi.answers import Refused
from tests.platforms.botapi.limits import Governor, Limits, Violation
from tests.platforms.telegram_behaviours import too_many_requests
from tests.platforms.telegram_clients import RawClient, open_raw


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        """Begin somewhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def bot(clock: Clock) -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        client.server.limits = Limits(clock=clock)
        client.server.post("one")
        yield client


def wait_of(governor: Governor, chat: str = "7") -> int:
    """Send a message, and return how long the server says to wait, 0 if it took it."""
    try:
        governor.admit(chat)
    except Refused as refused:
        return refused.retry_after or -1
    return 0


async def test_a_second_message_within_a_second_is_refused_with_the_time_to_wait(bot: RawClient, clock: Clock) -> None:
    sent = await bot.result("sendMessage", chat_id=7, text="a")
    clock.now += 0.5
    where = {"chat_id": 7, "message_id": sent["message_id"]}
    response = await bot.client.post(f"{bot.url}/editMessageText", json={**where, "text": "b"})
    clock.now += 1
    await bot.result("editMessageText", **where, text="b")

    assert response.status_code == 429
    assert response.headers["Retry-After"] == "1"
    assert response.json() == {
        "ok": False,
        "error_code": 429,
        "description": "Too Many Requests: retry after 1",
        "parameters": {"retry_after": 1},
    }
    assert bot.server.violations == []
    assert [shown.text for shown in bot.server.screen()] == ["b"]


async def test_who_comes_back_too_early_is_noted_and_waits_longer(bot: RawClient, clock: Clock) -> None:
    bot.server.enqueue("sendMessage", too_many_requests(5))
    told = await bot.call("sendMessage", chat_id=7, text="a")
    clock.now += 3
    again = await bot.call("sendMessage", chat_id=7, text="a")
    clock.now += 6.5
    third = await bot.call("sendMessage", chat_id=7, text="a")
    clock.now += 6
    taken = await bot.call("sendMessage", chat_id=7, text="a")

    assert [each["parameters"]["retry_after"] for each in (told, again, third)] == [5, 7, 6]
    assert taken["ok"] is True
    assert bot.server.violations == [Violation("chat 7", 2), Violation("chat 7", 0.5)]


async def test_typing_deleting_and_polling_do_not_count(bot: RawClient) -> None:
    sent = await bot.result("sendMessage", chat_id=7, text="a")
    for _ in range(3):
        await bot.result("sendChatAction", chat_id=7, action="typing")
    await bot.result("deleteMessage", chat_id=7, message_id=sent["message_id"])
    await bot.result("getUpdates")

    assert bot.server.violations == []


def test_a_burst_may_come_at_once_and_then_has_to_be_made_up_for(clock: Clock) -> None:
    governor = Governor(Limits(chat_burst=3, clock=clock))

    assert [wait_of(governor) for _ in range(4)] == [0, 0, 0, 3]
    clock.now += 3
    assert [wait_of(governor) for _ in range(4)] == [0, 0, 0, 3]


def test_a_group_takes_20_messages_a_minute(clock: Clock) -> None:
    governor = Governor(Limits(clock=clock))
    waits = []
    for _ in range(21):
        waits.append(wait_of(governor, "-55"))
        clock.now += 1

    assert waits == [0] * 20 + [40]
    clock.now += 39
    assert wait_of(governor, "-55") == 0
    assert wait_of(governor, "7") == 0


def test_all_chats_together_take_30_messages_a_second(clock: Clock) -> None:
    governor = Governor(Limits(clock=clock))

    assert [wait_of(governor, str(chat)) for chat in range(31)] == [0] * 30 + [1]
    assert wait_of(governor, "99") == 2
    assert [violation.scope for violation in governor.violations] == ["all"]
    clock.now += 2
    assert wait_of(governor, "99") == 0


@given(st.lists(st.tuples(st.sampled_from(("7", "8", "-55")), st.floats(0, 3)), max_size=80))
def test_who_waits_as_long_as_told_is_taken_and_violates_nothing(sends: list[tuple[str, float]]) -> None:
    clock = Clock()
    governor = Governor(Limits(clock=clock))
    for chat, pause in sends:
        clock.now += pause
        wait = wait_of(governor, chat)
        clock.now += wait

        assert wait == 0 or wait_of(governor, chat) == 0
    assert governor.violations == []

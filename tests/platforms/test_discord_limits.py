"""These tests check that the loopback Discord enforces its rate limits, and notes a bot that comes back too early."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

import discord
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.platforms.discord_behaviours import too_many_requests
from tests.platforms.discord_clients import RawClient, open_bot, open_raw
from tests.platforms.discord_server import ADA_DM, BOB_DM, EDIT, SEND, Limits, Violation, texts
from tests.platforms.discordapi.answers import TooMany
from tests.platforms.discordapi.limits import Governor

MESSAGE = {"content": "a", "allowed_mentions": {"parse": []}}
MESSAGES = f"/channels/{ADA_DM}/messages"


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


def wait_of(governor: Governor, route: str = SEND, channel: int = ADA_DM) -> float:
    """Call a route, and return how long the server says to wait, 0 if it took the call."""
    try:
        governor.admit(route, str(channel))
    except TooMany as refused:
        return refused.retry_after
    return 0


async def send(bot: RawClient) -> tuple[int, Mapping[str, str], float]:
    """Send a message; return the status, the headers, and how long to wait."""
    headers = {"Authorization": bot.token}
    async with bot.client.post(bot.server.base_url + MESSAGES, json=MESSAGE, headers=headers) as response:
        return response.status, response.headers, (await response.json()).get("retry_after", 0)


async def test_five_messages_may_be_sent_in_five_seconds_and_every_answer_says_how_many_are_left(
    bot: RawClient, clock: Clock
) -> None:
    sent = [await send(bot) for _ in range(6)]
    clock.now += 5
    after = await send(bot)
    _, headers, retry_after = sent[-1]

    assert [status for status, _, _ in [*sent, after]] == [200] * 5 + [429, 200]
    assert [told["X-RateLimit-Remaining"] for _, told, _ in sent] == ["4", "3", "2", "1", "0", "0"]
    assert (headers["X-RateLimit-Reset-After"], headers["Retry-After"], retry_after) == ("5.000", "5", 5)
    assert (headers["X-RateLimit-Scope"], headers["Via"]) == ("user", "1.1 google")
    assert len({told["X-RateLimit-Bucket"] for _, told, _ in sent}) == 1
    assert bot.server.violations == []


async def test_who_comes_back_too_early_is_noted(bot: RawClient, clock: Clock) -> None:
    bot.server.enqueue(SEND, too_many_requests(3), too_many_requests(2, is_global=True))
    told = await send(bot)
    clock.now += 1
    globally = await send(bot)
    early = await send(bot)
    clock.now += 2
    taken = await send(bot)

    assert (told[0], told[2], globally[2], globally[1]["X-RateLimit-Global"]) == (429, 3, 2, "true")
    assert (early[0], early[2], taken[0]) == (429, 2, 200)
    assert bot.server.violations == [Violation("all", 2)]


def test_routes_and_channels_have_buckets_of_their_own_and_some_routes_have_none(clock: Clock) -> None:
    governor = Governor(Limits(clock=clock))

    assert [wait_of(governor) for _ in range(6)] == [0] * 5 + [5]
    assert [wait_of(governor, EDIT) for _ in range(6)] == [0] * 5 + [5]
    assert wait_of(governor, channel=BOB_DM) == 0
    assert [wait_of(governor, "GET /users/@me") for _ in range(10)] == [0] * 10


def test_all_routes_together_take_50_calls_a_second(clock: Clock) -> None:
    governor = Governor(Limits(clock=clock))

    assert [wait_of(governor, channel=channel) for channel in range(51)] == [0] * 50 + [1]
    assert wait_of(governor, "GET /users/@me") == 1
    assert [violation.scope for violation in governor.violations] == ["all"]
    clock.now += 1
    assert wait_of(governor) == 0


@given(st.lists(st.tuples(st.sampled_from((ADA_DM, BOB_DM)), st.floats(0, 3)), max_size=80))
def test_who_waits_as_long_as_told_is_taken_and_violates_nothing(sends: list[tuple[int, float]]) -> None:
    clock = Clock()
    governor = Governor(Limits(clock=clock))
    for channel, pause in sends:
        clock.now += pause
        wait = wait_of(governor, channel=channel)
        clock.now += wait

        assert wait == 0 or wait_of(governor, channel=channel) == 0
    assert governor.violations == []


async def test_discord_py_reads_the_headers_and_waits_before_it_is_told_to() -> None:
    async with open_bot() as (server, client):
        server.limits = Limits(rates={SEND: (2, 0.1)})
        channel = await client.fetch_channel(server.open_dm(7 + 700_000_000_000_000_000))
        assert isinstance(channel, discord.DMChannel)
        for number in range(5):
            await channel.send(str(number))
        server.enqueue(SEND, too_many_requests(0.05))
        await channel.send("5")

        assert texts(server.screen()) == ["0", "1", "2", "3", "4", "5"]
        assert (len(server.called(SEND)), server.violations) == (7, [])

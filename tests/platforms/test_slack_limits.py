"""These tests check that the loopback Slack enforces Slack's rate limits, and notes an app that does not wait."""

from __future__ import annotations

import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack_behaviours import too_many_requests
from tests.platforms.slack_clients import open_web
from tests.platforms.slack_server import DM, GENERAL, Limits, Violation


class Clock:
    """Time that passes only when the test says so."""

    def __init__(self) -> None:
        """Begin at none."""
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def posts(web: AsyncWebClient, channel: str = DM) -> int:
    """Post; returns how long to wait, 0 where it went through."""
    try:
        await web.chat_postMessage(channel=channel, text="a")
    except SlackApiError as fault:
        return wait_of(fault)
    return 0


def wait_of(fault: SlackApiError) -> int:
    """Return how long a refusal says to wait."""
    assert (fault.response.status_code, fault.response["error"]) == (429, "ratelimited")
    return int(fault.response.headers["Retry-After"])


async def test_one_message_a_second_goes_into_a_channel_after_a_short_burst() -> None:
    clock = Clock()
    async with open_web() as (server, web):
        server.limits = Limits(channel_burst=2, clock=clock)
        first = [await posts(web) for _ in range(3)]
        elsewhere = await posts(web, GENERAL)
        clock.now = 1
        early = await posts(web)
        clock.now = 2
        later = await posts(web)

    assert (first, elsewhere, early, later) == ([0, 0, 2], 0, 1, 0)
    assert server.violations == [Violation("chat.postMessage D0ADA00001", 1)]


async def test_a_method_is_called_as_often_a_minute_as_its_tier_allows_over_all_channels() -> None:
    clock = Clock()
    async with open_web() as (server, web):
        server.limits = Limits(per_minute={"conversations.history": 1}, clock=clock)
        await web.conversations_history(channel=DM)
        clock.now = 50
        with pytest.raises(SlackApiError) as fault:
            await web.conversations_history(channel=GENERAL)
        clock.now = 60
        await web.conversations_history(channel=GENERAL)

    assert wait_of(fault.value) == 10
    assert server.violations == []


async def test_a_refusal_that_a_test_orders_is_held_to_like_any() -> None:
    async with open_web() as (server, web):
        server.limits = Limits(clock=Clock())
        server.enqueue("chat.postMessage", too_many_requests(7))

        assert [await posts(web), await posts(web)] == [7, 7]
        assert server.violations == [Violation("chat.postMessage D0ADA00001", 7)]

"""These tests check that the loopback Slack fails in every way that the real one does, as its client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient

from tests.platforms.slack_behaviours import (
    delayed,
    drop_after_effect,
    drop_before_effect,
    failing,
    hang,
    hold_after_effect,
    html,
    malformed,
    refusing,
    slow,
    too_many_requests,
    unauthorized,
)
from tests.platforms.slack_clients import open_web, until
from tests.platforms.slack_server import DM, DOWNLOAD, Behaviour, File, SlackServer, texts

Opened = tuple[SlackServer, AsyncWebClient]


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_web() as both:
        yield both


@pytest.mark.parametrize(
    ("behaviour", "fault", "shown"),
    [
        (drop_before_effect(), aiohttp.ClientError, []),
        (drop_after_effect(), aiohttp.ClientError, ["a"]),
        (failing(), SlackApiError, []),
        (html(), SlackApiError, []),
        (malformed(), SlackApiError, []),
        (too_many_requests(3), SlackApiError, []),
        (unauthorized(), SlackApiError, []),
        (refusing("msg_blocks_too_long"), SlackApiError, []),
        (hang(), TimeoutError, []),
        (hold_after_effect(), TimeoutError, ["a"]),
    ],
    ids=[
        *("dropped before", "dropped after", "failing", "a page", "malformed", "too many", "unauthorized"),
        *("refused", "hanging", "held"),
    ],
)
async def test_a_call_fails_once_as_it_is_told_and_the_next_is_as_usual(
    behaviour: Behaviour, fault: type[Exception], shown: list[str], opened: Opened
) -> None:
    server, web = opened
    server.enqueue("chat.postMessage", behaviour)
    patience = web.timeout
    web.timeout = 1 if fault is TimeoutError else patience
    with pytest.raises(fault):
        await web.chat_postMessage(channel=DM, text="a")
    web.timeout = patience
    await web.chat_postMessage(channel=DM, text="b")

    assert texts(server.screen()) == [*shown, "b"]
    assert not server.has_script("chat.postMessage")


async def test_a_slow_answer_waits_for_the_test_and_a_delayed_one_for_the_time(opened: Opened) -> None:
    server, web = opened
    gate = asyncio.Event()
    server.enqueue("chat.postMessage", slow(gate), delayed(0.001))
    async with asyncio.TaskGroup() as tasks:
        first = tasks.create_task(web.chat_postMessage(channel=DM, text="a"), name="first")
        await until(server, lambda: server.calls)
        before = texts(server.screen())
        gate.set()
    await web.chat_postMessage(channel=DM, text="b")

    assert before == []
    assert first.result()["message"]["text"] == "a"
    assert texts(server.screen()) == ["a", "b"]


async def test_a_download_can_fail_too(opened: Opened) -> None:
    server, web = opened
    server.post(files=[File(content=b"bytes")])
    address = server.deliveries.all[0].event["files"][0]["url_private"]
    server.enqueue(DOWNLOAD, failing(500), drop_before_effect(), drop_before_effect())  # aiohttp asks twice by itself
    headers = {"Authorization": f"Bearer {web.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        async with session.get(address) as response:
            assert response.status == 500
        with pytest.raises(aiohttp.ClientError):
            await session.get(address)
        async with session.get(address) as response:
            assert await response.read() == b"bytes"

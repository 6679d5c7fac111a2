from __future__ import annotations

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from agentd.delivery import telling
from agentd.delivery.front import build_front
from agentd.delivery.telling import Teller
from channels.base import Address
from channels.markup.rich import RichText
from tests.fakes.channel import FakeChannel

DM = Address("fake", "bot", "dm")


class Stuck(FakeChannel):
    """A platform that never answers."""

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        await asyncio.Event().wait()
        return await super().send(to, text, nonce)


async def tell(channel: FakeChannel, to: Address = DM) -> tuple[bool, list[str]]:
    """Say something; return whether it arrived, and what the log says of it."""
    with capture_logs() as logs:
        arrived = await Teller(build_front({"fake": channel}, channel.aliases, time.monotonic), lambda: "n1").tell(
            to, "a word"
        )
    return arrived, [log["fault"] for log in logs]


async def test_what_is_told_is_on_the_persons_screen() -> None:
    channel = FakeChannel()

    assert await tell(channel) == (True, [])
    assert channel.texts == ["a word"]


@pytest.mark.parametrize(("gone", "fault"), [(False, "the platform refuses"), (True, "the platform is gone")])
async def test_what_does_not_arrive_is_said_and_logged_without_its_text(gone: bool, fault: str) -> None:
    channel = FakeChannel()
    channel.refuses, channel.gone = not gone, gone

    assert await tell(channel) == (False, [fault])


async def test_a_platform_that_does_not_answer_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "PATIENCE_SECONDS", 0.01)

    assert await tell(Stuck()) == (False, ["TimeoutError"])


async def test_nobody_is_told_anything_on_a_channel_that_does_not_run() -> None:
    assert await tell(FakeChannel(), Address("other", "bot", "dm")) == (False, ["this channel does not run"])

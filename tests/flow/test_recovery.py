"""These tests check recovery: a turn that was cut between any two records is finished by the next run, once."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from agentd.transcript.uptime import Uptime
from channels.markup.rich import plain
from tests.fakes.channel import FakeChannel
from tests.fakes.provider import FakeProvider
from tests.flow.stage import ADDRESS, Run, daemon, rehearsed, until

FILE = "sessions/fake~bot~dm~~ada.jsonl"


async def cut_after(workspace: Path, kinds: list[str], text: str = "one") -> None:
    """Leave the file of a whole turn as a crash right after these records would have."""
    async with daemon(workspace) as stage:
        stage.provider.enqueue(TextDelta("o"), stage.channel.called, TextDelta("k"))
        await stage.say(text)
        assert stage.kinds()[: len(kinds)] == kinds
    path = workspace / FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: len(kinds)]))


async def test_a_message_without_an_answer_is_answered_by_the_next_run(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "user"])
    async with daemon(tmp_path) as stage:
        assert stage.channel.texts == ["ok"]
        assert stage.kinds() == ["session", "user", "assistant", "draft", "draft", "delivery"]


async def test_a_draft_that_may_have_arrived_is_followed_by_a_marked_copy(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "user", "draft"])
    async with daemon(tmp_path) as stage:
        assert len(stage.channel.texts) == 1
        assert stage.channel.texts[0].startswith("[Sent again")
        assert stage.records()[-1]["state"] == "uncertain"


class Forgetful(FakeChannel):
    """A platform that recognises a second copy within two minutes, and by now has forgotten the first."""

    nonce_seconds = 120.0


@pytest.mark.parametrize(
    ("boot", "up_seconds", "day_seconds", "is_marked"),
    [
        ("b", 1_060, 60, False),
        ("b", 1_130, 130, True),
        ("b", 1_130, 70, True),  # somebody set the time of day back by a minute
        ("b", 1_060, -3_600, False),  # by an hour: how long it was is known all the same
        ("b", 1_060, 3_600, True),  # the machine's own clock stood still
        ("b", 990, -3_600, True),  # it went back: a container with another beginning, or a machine's earlier state
        ("c", 1_060, 60, True),
        ("", 1_060, 60, True),
    ],
)
async def test_a_draft_of_an_earlier_run_is_sent_without_a_mark_only_where_the_platform_surely_knows_it(
    tmp_path: Path, boot: str, up_seconds: float, day_seconds: float, is_marked: bool
) -> None:
    first = Run(tmp_path, Forgetful(), uptime=Uptime("b" if boot else "", lambda: 1_000.0))
    async with rehearsed(first) as stage:
        await stage.say("one")
    path = tmp_path / FILE
    kept = [line for line in path.read_bytes().splitlines(keepends=True) if b'"sent"' not in line]
    path.write_bytes(b"".join(kept))
    uptime, skew = Uptime(boot, lambda: up_seconds), timedelta(seconds=day_seconds)
    async with rehearsed(replace(first, channel=Forgetful(), uptime=uptime, clock_skew=skew)) as stage:
        [text] = stage.channel.texts

    assert text.startswith("[Sent again") == is_marked


async def test_a_draft_that_is_known_is_completed_by_an_edit(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "user", "draft", "draft"])
    channel = FakeChannel()
    await channel.send(ADDRESS, plain("o"), "")
    async with daemon(tmp_path, channel=channel) as stage:
        assert channel.texts == ["ok"]
        assert stage.records()[-1]["state"] == "sent"


async def test_an_answer_without_a_receipt_is_shown_again_in_its_own_message(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "user", "draft", "draft", "assistant"])
    channel = FakeChannel()
    await channel.send(ADDRESS, plain("o"), "")
    async with daemon(tmp_path, channel=channel) as stage:
        assert channel.texts == ["ok"]
        assert stage.provider.requests == []
        assert stage.kinds()[-1] == "delivery"


async def test_a_settled_session_is_left_alone(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "user", "draft", "draft", "assistant", "delivery"])
    before = (tmp_path / FILE).read_bytes()
    async with daemon(tmp_path) as stage:
        assert stage.channel.texts == []
    assert (tmp_path / FILE).read_bytes() == before


async def test_a_command_that_was_cut_is_obeyed_by_the_next_run(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "command"], "/new")
    async with daemon(tmp_path) as stage:
        assert stage.kinds() == ["session", "command", "reset", "draft", "draft", "delivery"]


async def test_a_reset_that_is_on_record_is_not_repeated_for_want_of_its_answer(tmp_path: Path) -> None:
    await cut_after(tmp_path, ["session", "command", "reset"], "/new")
    async with daemon(tmp_path) as stage:
        assert stage.kinds().count("reset") == 1
        assert stage.channel.texts == ["A new conversation. What was said before stays on disk."]


async def test_what_waited_too_long_is_told_and_not_answered_by_the_next_run(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("lunch?", age=timedelta(hours=2))
    path = tmp_path / FILE
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:2]))
    async with daemon(tmp_path) as stage:
        assert stage.provider.requests == []
        assert "lunch?" in stage.channel.texts[0]


async def test_a_shutdown_lets_the_running_turn_end(tmp_path: Path) -> None:
    gate = asyncio.Event()
    provider = FakeProvider()
    provider.enqueue(TextDelta("slow"), gate, TextDelta(" but whole"))
    channel = FakeChannel()
    async with daemon(tmp_path, provider=provider, channel=channel) as stage:
        await stage.post("one")
        await channel.shows("slow")
        asyncio.get_running_loop().call_soon(gate.set)

    assert channel.texts == ["slow but whole"]


async def test_a_turn_that_outlasts_the_drain_stays_pending_and_is_finished_by_the_next_run(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("slow"), asyncio.Event())
    channel = FakeChannel()
    async with daemon(tmp_path, provider=provider, channel=channel, drain_seconds=0.01) as stage:
        await stage.post("one")
        await channel.shows("slow")
    async with daemon(tmp_path, channel=channel) as stage:
        assert channel.texts == ["ok"]
        assert stage.kinds() == ["session", "user", "draft", "draft", "assistant", "delivery"]


async def test_an_idle_session_leaves_memory_and_comes_back_from_its_file(tmp_path: Path) -> None:
    async with daemon(tmp_path, settings=AgentSettings(idle_minutes=0.0001)) as stage:
        await stage.say("one")
        await until(lambda: stage.router.count()[0] == 0)
        await stage.say("two")

        assert stage.prompt()[1:] == [("user", "one"), ("assistant", "ok"), ("user", "two")]

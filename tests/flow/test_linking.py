"""These tests check `/link`: two accounts become one person, if the holder of both says so."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from agentd.state.state import open_state
from agentd.transcript.clock import utc_now
from tests.flow.stage import until
from tests.flow.town import ADA, BOB, Market, Town
from tests.platforms.openai_server import OpenAIServer

TELEGRAM, DISCORD = "telegram:700001", "discord:800002"


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with OpenAIServer() as server:
        yield Town(tmp_path, server)


async def code_of(market: Market) -> str:
    found = re.search(r"/link ([A-Z2-9]{8})\n", await market.say(ADA, "/link"))
    assert found
    return found[1]


async def linked(town: Town) -> frozenset[str]:
    """Return what is on disk, where no daemon runs."""
    async with open_state(town.workspace / "state.db", "1", utc_now) as state:
        return state.people.senders_of(TELEGRAM)


async def test_a_code_from_one_account_links_the_other_and_both_are_told_what_that_opens(town: Town) -> None:
    async with town.open() as (telegram, discord):
        code = await code_of(telegram)
        answer = await discord.say(BOB, f"/link {code[:4].lower()}-{code[4:]}")
        told = telegram.texts(ADA)[-1]

    assert answer.startswith(
        f"This account ({DISCORD}) is now one person with {TELEGRAM}. What I remember from private"
    )
    assert told.startswith(f"This account ({TELEGRAM}) is now one person with {DISCORD}. What I remember from private")
    assert await linked(town) == {TELEGRAM, DISCORD}
    assert town.server.requests == []


async def test_a_code_in_a_group_is_not_given_and_one_written_there_is_worth_nothing(town: Town) -> None:
    async with town.open() as (telegram, discord):
        refused = await telegram.say(ADA, "/link", group=True)
        code = await code_of(telegram)
        burnt = await discord.say(BOB, f"/link {code}", group=True)
        late = await discord.say(BOB, f"/link {code}")

    assert refused == "Write that to me in private: a code for linking is nobody else's business."
    assert burnt.endswith("A code that you wrote here is worth nothing any more.")
    assert late.startswith("I know no such code")
    assert await linked(town) == {TELEGRAM}


async def test_a_code_is_refused_to_its_own_account_when_it_is_old_and_when_it_was_used_by_another(town: Town) -> None:
    now = [datetime.now(UTC)]
    async with town.open(lambda: now[0]) as (telegram, discord):
        code = await code_of(telegram)
        again = await code_of(telegram)
        own = await telegram.say(ADA, f"/link {code}")
        await discord.say(BOB, f"/link {code}")
        stranger = await discord.say(ADA, f"/link {code}")
        newer = await code_of(telegram)
        now[0] += timedelta(hours=1)
        late = await discord.say(ADA, f"/link {newer}")

    assert code == again != newer
    assert own.startswith("That is the code of this very account")
    assert stranger.startswith("I know no such code")
    assert late.startswith("I know no such code")
    assert await linked(town) == {TELEGRAM, DISCORD}


async def test_link_off_takes_this_account_out_and_says_the_same_when_it_is_asked_twice(town: Town) -> None:
    async with town.open() as (telegram, discord):
        await discord.say(BOB, f"/link {await code_of(telegram)}")
        first = await discord.say(BOB, "/link off")
        second = await discord.say(BOB, "/link OFF")

    assert first.startswith(f"This account is not linked with {TELEGRAM} any more")
    assert second == "This account is linked with no other."
    assert await linked(town) == {TELEGRAM}


async def test_wrong_codes_lock_out_their_sender_alone_and_through_a_restart(town: Town) -> None:
    async with town.open() as (telegram, discord):
        code = await code_of(telegram)
        wrong = [await discord.say(BOB, "/link WRONGONE") for _ in range(5)]
        locked = await discord.say(BOB, f"/link {code}")
    async with town.open() as (telegram, discord):
        still = await discord.say(BOB, f"/link {code}")
        other = await discord.say(ADA, f"/link {code}")

    assert {answer[:19] for answer in wrong} == {"I know no such code"}
    assert locked.startswith("Too many wrong codes")
    assert still.startswith("Too many wrong codes")
    assert "one person" in other
    assert await linked(town) == {TELEGRAM, "discord:700001"}


@pytest.mark.parametrize("args", ["", "CODE", "off"])
async def test_a_link_that_a_crash_cut_before_its_answer_has_the_effect_of_one(town: Town, args: str) -> None:
    async with town.open() as (telegram, discord):
        code = await code_of(telegram)
        if args:
            await discord.say(BOB, f"/link {code}")
        if args == "off":
            await discord.say(BOB, "/link off")
    channel = "telegram" if args == "" else "discord"
    [path] = (town.workspace / "sessions").glob(f"{channel}*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    assert json.loads(lines[-1])["type"] == "delivery"
    last = max(number for number, line in enumerate(lines) if b'"type":"command"' in line)
    path.write_bytes(b"".join(lines[: last + 1]))
    async with town.open() as (telegram, discord):
        market, author = (telegram, ADA) if channel == "telegram" else (discord, BOB)
        await until(partial(market.texts, author))
        [answer] = market.texts(author)

    expected = {"": f"/link {code}\n", "CODE": f"one person with {TELEGRAM}", "off": "linked with no other"}
    assert expected[args] in answer
    assert await linked(town) == ({TELEGRAM, DISCORD} if args == "CODE" else {TELEGRAM})

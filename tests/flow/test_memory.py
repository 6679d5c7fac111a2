"""These tests check that memory learns beside the conversation and recalls, over a real channel and protocol."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from memory.marks import RECALLED_END, RECALLED_HEAD
from memory.model import Kind, Memory, Who
from memory.store_sqlite.store import open_sqlite_memory
from tests.flow.bot import ADA, BOB, GROUP, Bot, open_bot
from tests.platforms.clerk_server import ClerkServer

CAT = "By the way, my cat is called Tom these days."
ASK = "Tell me again what my cat is called, would you?"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


@pytest.fixture
async def clerk() -> AsyncIterator[ClerkServer]:
    server = ClerkServer()
    async with server:
        yield server


def config(clerk: ClerkServer, more: str = "") -> str:
    return (
        f'{more}\n[memory]\nenabled = true\n[provider.background]\nkind = "openai"\n'
        f'base_url = "{clerk.base_url}"\nmodel = "clerk"\n'
    )


def person(number: int) -> Who:
    return Who(frozenset({f"telegram:{number}"}), direct=True)


async def known(bot: Bot, number: int = ADA) -> tuple[Memory, ...]:
    """Return what is on disk of a person, the oldest first."""
    async with open_sqlite_memory(bot.workspace / "memory.db", lambda: datetime.now(UTC)) as store:
        return await store.export(person(number).senders)


async def learnt(bot: Bot, count: int, number: int = ADA) -> tuple[Memory, ...]:
    """Wait until so many entries are on disk."""
    async with asyncio.timeout(20):
        while len(found := await known(bot, number) if (bot.workspace / "memory.db").exists() else ()) < count:  # noqa: ASYNC110 - a file has no event
            await asyncio.sleep(0.02)
    return found


async def test_an_exchange_becomes_a_history_entry_and_a_fact_with_its_evidence(bot: Bot, clerk: ClerkServer) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT)
        await bot.settled()
        daily, core = await learnt(bot, 2)
    [said] = bot.records("user")

    assert (daily.kind, daily.text) == (Kind.DAILY, f"They told: {CAT}")
    assert (core.kind, core.text) == (Kind.CORE, "Has a cat called Tom")
    assert [(given.session, given.seq, given.quote) for given in core.evidence] == [
        ("telegram~100~7~~7", said["seq"], "my cat is called Tom")
    ]
    assert (daily.person, daily.direct, daily.first, daily.last) == ("telegram:7", True, said["seq"], said["seq"])
    [asked] = clerk.requests
    assert asked.body.temperature == 0.1
    assert asked.body.response_format is not None


async def test_what_was_learnt_is_recalled_in_a_new_conversation_before_the_question(
    bot: Bot, clerk: ClerkServer
) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT)
        await bot.settled()
        await learnt(bot, 2)
        bot.telegram.post("/new")
        await bot.settled(2)
        bot.telegram.post(ASK)
        await bot.settled(3)
    [_, *before, last] = bot.model.requests[-1].body.messages

    assert before == []
    assert last.content.startswith(RECALLED_HEAD)
    assert "Has a cat called Tom" in last.content
    assert last.content.endswith(f"{RECALLED_END}\n\n{ASK}")
    assert [record["content"] for record in bot.records("user")] == [CAT, ASK]


async def test_what_was_recalled_is_in_no_later_prompt_so_that_what_stands_before_stays_the_same(
    bot: Bot, clerk: ClerkServer
) -> None:
    async with bot.run(config(clerk)):
        for number, text in enumerate((CAT, ASK, "And what is your own cat called?"), 1):
            bot.telegram.post(text)
            await bot.settled(number)
            await learnt(bot, number + 1)
    first, second, third = (request.body.messages for request in bot.model.requests)

    assert RECALLED_HEAD in second[-1].content
    assert third[: len(first)] == [*first]
    assert [message.content for message in third[1:5]] == [CAT, f"You said: {CAT}", ASK, third[4].content]


async def test_one_persons_memory_is_not_recalled_for_another(bot: Bot, clerk: ClerkServer) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT, sender=ADA, chat=ADA)
        await bot.settled()
        await learnt(bot, 2)
        bot.telegram.post(ASK, sender=BOB, chat=BOB)
        await bot.settled(2)

    assert "Tom" not in str(bot.model.requests[-1].sent)


async def test_what_was_said_in_private_is_not_recalled_in_a_group(bot: Bot, clerk: ClerkServer) -> None:
    async with bot.run(config(clerk), channel='groups = "all"'):
        bot.telegram.post(CAT, sender=ADA, chat=ADA)
        await bot.settled()
        await learnt(bot, 2)
        bot.telegram.post(ASK, sender=ADA, chat=GROUP)
        await bot.settled(2)

    assert "Tom" not in str(bot.model.requests[-1].sent)


@pytest.mark.parametrize("text", ["Good morning!", "> my cat is called Tom, you said\nok"])
async def test_what_is_short_or_quoted_is_not_asked_about(bot: Bot, clerk: ClerkServer, text: str) -> None:
    async with bot.run(config(clerk)):
        bot.telegram.post(text)
        await bot.settled()
        bot.telegram.post(CAT)
        await bot.settled(2)
        await learnt(bot, 2)

    assert clerk.asked_of == [CAT]


async def test_without_memory_nothing_is_asked_and_nothing_is_made(bot: Bot, clerk: ClerkServer) -> None:
    async with bot.run(config(clerk).replace("enabled = true", "enabled = false")):
        bot.telegram.post(CAT)
        await bot.settled()

    assert clerk.requests == []
    assert not (bot.workspace / "memory.db").exists()
    assert not (bot.workspace / "tasks.db").exists()


async def test_a_reply_waits_for_no_consolidation_and_a_stop_keeps_what_is_not_done(
    bot: Bot, clerk: ClerkServer
) -> None:
    clerk.gate = asyncio.Event()
    async with bot.run(config(clerk, "[service]\ndrain_seconds = 0.2")):
        for number in range(1, 4):
            bot.telegram.post(f"{CAT} And number {number}.")
            await bot.settled(number)
        await bot.until(lambda: len(clerk.asked_of) == 1)
    before = await known(bot)
    clerk.gate.set()
    async with bot.run(config(clerk)):
        entries = await learnt(bot, 4)

    assert before == ()
    assert [entry.text for entry in entries if entry.kind is Kind.DAILY] == [
        f"They told: {CAT} And number {number}." for number in range(1, 4)
    ]
    assert len([entry for entry in entries if entry.kind is Kind.CORE]) == 1


async def test_an_answer_that_is_of_no_use_ends_the_range_and_leaves_nothing(bot: Bot, clerk: ClerkServer) -> None:
    clerk.answer = "I am sorry, I cannot keep your password hunter2-hunter2."
    async with bot.run(config(clerk)):
        bot.telegram.post(f"{CAT} My password is hunter2-hunter2.")
        await bot.settled()
        await bot.until(lambda: len(clerk.asked_of) == 2)
        clerk.answer = None
        bot.telegram.post("My dog is called Rex, and he barks.")
        await bot.settled(2)
        entries = await learnt(bot, 2)

    assert [entry.text for entry in entries] == [
        "They told: My dog is called Rex, and he barks.",
        "Has a dog called Rex",
    ]
    assert all(b"hunter2" not in path.read_bytes() for path in bot.workspace.glob("*.db*"))


async def test_a_damaged_memory_costs_nobody_an_answer_and_is_left_as_it_is(bot: Bot, clerk: ClerkServer) -> None:
    bot.workspace.mkdir(mode=0o700)
    (bot.workspace / "memory.db").write_bytes(b"this is no database, but may be all that is known")
    async with bot.run(config(clerk)):
        bot.telegram.post(CAT)
        await bot.settled()

    assert (bot.workspace / "memory.db").read_bytes() == b"this is no database, but may be all that is known"

"""These tests check `agentd people erase` over a daemon that learns: memory, tasks in every state, and files."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import PIPE

from agentd.tasks.opening import open_queue
from agentd.tasks.queue import Entry
from agentd.transcript.clock import utc_now
from tests.flow.bot import ADA, BOB, GROUP, Bot
from tests.flow.process import AGENTD, environment
from tests.flow.test_memory import bot, clerk, config, known, learnt
from tests.platforms.clerk_server import ClerkServer

__all__ = ["bot", "clerk"]

HERS = ("violet", "Umbrella", "teapot", "lighthouse")
HIS = ("bicycle", "kettle")
SHARED = '[channels_config]\nsession_scope = "chat"\n[tasks]\nmax_attempts = 1\n'


async def command(bot: Bot, *words: str) -> tuple[int, str]:
    """Run `agentd` as the operator does."""
    process = await asyncio.create_subprocess_exec(
        AGENTD, "--config", str(bot.folder / "config.toml"), *words, stdout=PIPE, stderr=PIPE, env=environment()
    )
    output, errors = await process.communicate()
    return process.returncode or 0, (output + errors).decode()


def holding(bot: Bot, texts: tuple[str, ...]) -> dict[str, list[str]]:
    """Return what is found of these texts in the bytes of the workspace's files, by their names."""
    files = [path for path in bot.workspace.rglob("*") if path.is_file()]
    found = {path.name: [text for text in texts if text.encode() in path.read_bytes()] for path in files}
    return {name: texts for name, texts in found.items() if texts}


async def tasks(bot: Bot) -> list[Entry]:
    async with open_queue(bot.workspace / "tasks.db", utc_now) as queue:
        return await queue.entries()


async def said(bot: Bot, text: str, sender: int, chat: int) -> None:
    """Write, and wait for the answer and for what becomes of it in the queue."""
    count = len(bot.records("user")) + 1
    bot.telegram.post(text, sender=sender, chat=chat)
    await bot.settled(count)


async def test_nothing_of_a_person_is_left_and_what_another_said_is_learnt_all_the_same(
    bot: Bot, clerk: ClerkServer
) -> None:
    async with bot.run(config(clerk, SHARED), channel='groups = "all"'):
        await said(bot, "My violet is called Umbrella, and she is wet.", ADA, ADA)
        await learnt(bot, 2, ADA)
        await said(bot, "My kettle is called Silver, and it sings.", BOB, BOB)
        await learnt(bot, 2, BOB)
        clerk.failures = 2
        await said(bot, "My teapot stands in the kitchen of a lighthouse.", ADA, GROUP)
        await said(bot, "My bicycle stands in the kitchen of the school.", BOB, GROUP)
        await bot.until(lambda: clerk.failures == 0)
        clerk.gate = asyncio.Event()
        await said(bot, "There is nobody in the lighthouse today, I fear.", ADA, ADA)
        await bot.until(lambda: "nobody in the lighthouse" in clerk.asked_of[-1])
        code, output = await command(bot, "people", "erase", f"telegram:{ADA}", "--yes")
        clerk.gate.set()
        found, others = holding(bot, HERS), holding(bot, HIS)
        for task in await tasks(bot):
            if task.state == "failed":
                await command(bot, "tasks", "retry", str(task.id))
        entries = await learnt(bot, 3, BOB)
        of_her = await known(bot, ADA)
    verified, findings = await command(bot, "sessions", "verify")

    assert code == 0, output
    assert "Nothing of the person is left" in output
    assert found == {}
    assert "memory.db" in others
    assert of_her == ()
    assert entries[-1].text.startswith("They told: My bicycle")
    assert verified == 0, findings
    assert holding(bot, HERS) == {}

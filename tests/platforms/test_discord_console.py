"""These tests check the loopback Discord run by hand: typed lines are posted, the bot's messages are printed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import aiohttp

from tests.platforms.discord_server import ADA_DM, BOT, TOKEN

SCRIPT = Path(__file__).parent / "discord_server.py"
NOBODY: dict[str, list[str]] = {"parse": []}


async def test_a_line_is_posted_and_what_the_bot_says_changes_and_deletes_is_printed() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, str(SCRIPT), stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    headers = {"Authorization": f"Bot {TOKEN}"}
    async with asyncio.timeout(60), aiohttp.ClientSession(headers=headers) as client:
        url = (await process.stdout.readline()).decode().split()[0]
        messages = f"{url}/channels/{ADA_DM}/messages"
        process.stdin.write(b"hello\n")
        while (asked := await client.get(messages)).status != 200:
            pass
        (message,) = await asked.json()
        sent = await (await client.post(messages, json={"content": "hi", "allowed_mentions": NOBODY})).json()
        await client.patch(f"{messages}/{sent['id']}", json={"content": "hi there", "allowed_mentions": NOBODY})
        await client.delete(f"{messages}/{sent['id']}")
        await client.put(f"{url}/applications/{BOT}/commands", json=[{"name": "new", "description": "begin anew"}])
        await client.get(f"{url}/massages")
        process.stdin.close()
        printed = (await process.stdout.read()).decode().splitlines()
        code = await process.wait()

    assert url.endswith("/api/v10")
    assert message["content"] == "hello"
    assert printed == [
        f"[{sent['id']}] hi",
        f"~[{sent['id']}] hi there",
        f"-[{sent['id']}] hi there",
        "refused: GET /massages: the tests' Discord has no such route",
    ]
    assert code == 0

"""These tests check the loopback Telegram run by hand: typed lines are posted, the bot's messages are printed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import httpx

from tests.platforms.telegram_server import TOKEN

ROOT = Path(__file__).parents[2]


async def test_a_line_is_posted_and_what_the_bot_says_and_changes_is_printed(tmp_path: Path) -> None:
    words = (sys.executable, str(ROOT / "tests" / "platforms" / "telegram_server.py"), "--port", "0")
    process = await create_subprocess_exec(*words, cwd=tmp_path, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60):
        url = (await process.stdout.readline()).decode().split()[0]
        process.stdin.write(b"hello\n")
        async with httpx.AsyncClient(base_url=f"{url}/bot{TOKEN}", trust_env=False) as client:
            (update,) = (await client.post("/getUpdates", json={"timeout": 30})).json()["result"]
            await client.post("/sendMessage", json={"chat_id": 7, "text": "hi"})
            await client.post("/editMessageText", json={"chat_id": 7, "message_id": 2, "text": "hi there"})
            await client.post("/sendMassage", json={})
        process.stdin.close()
        printed = (await process.stdout.read()).decode().splitlines()
        code = await process.wait()

    assert update["message"]["text"] == "hello"
    assert printed == ["[2] hi", "~[2] hi there", "refused: sendMassage: Not Found: method not found"]
    assert code == 0

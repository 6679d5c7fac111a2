"""These tests check the loopback Slack run by hand: typed lines are posted, the bot's messages are printed."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from pathlib import Path

import aiohttp

from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, DM

ROOT = Path(__file__).parents[2]


async def test_a_line_is_posted_and_what_the_bot_says_and_changes_is_printed(tmp_path: Path) -> None:
    words = (sys.executable, str(ROOT / "tests" / "platforms" / "slack_server.py"), "--port", "0")
    process = await create_subprocess_exec(*words, cwd=tmp_path, stdin=PIPE, stdout=PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    async with asyncio.timeout(60), aiohttp.ClientSession() as session:
        url = (await process.stdout.readline()).decode().split()[0]

        async def call(method: str, token: str = BOT_TOKEN, **params: str) -> dict[str, str]:
            headers = {"Authorization": f"Bearer {token}"}
            async with session.post(url + method, json=params, headers=headers) as response:
                answer: dict[str, str] = await response.json()
                return answer

        async with session.ws_connect((await call("apps.connections.open", APP_TOKEN))["url"]) as socket:
            await socket.receive_json()
            process.stdin.write(b"hello\n")
            envelope = await socket.receive_json()
        ts = (await call("chat.postMessage", channel=DM, text="hi"))["ts"]
        await call("chat.update", channel=DM, ts=ts, text="hi there")
        await call("chat.postMassage")
        process.stdin.close()
        printed = (await process.stdout.read()).decode().splitlines()
        code = await process.wait()

    assert envelope["payload"]["event"]["text"] == "hello"
    assert printed == [
        f"[{ts}] hi",
        f"~[{ts}] hi there",
        "refused: chat.postMassage: unknown_method: there is no method chat.postMassage",
    ]
    assert code == 0

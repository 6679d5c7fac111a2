"""These tests kill the daemon while an answer streams: the message is on disk, and the conversation goes on."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.flow.process import records, started, talk, write_config
from tests.flow.stage import until
from tests.platforms.openai_behaviours import slow
from tests.platforms.openai_server import OpenAIServer


async def test_what_was_accepted_before_a_kill_is_answered_after_it(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(slow(["The answer ", "never comes"], asyncio.Event()))
        config = write_config(tmp_path, server.base_url)
        async with started(config) as process:
            assert process.stdin
            process.stdin.write(b"one\n")
            await until(lambda: bool(server.requests))
            process.kill()
            await process.communicate()
        left = records(config)
        code, output, _ = await talk(config, "two")
        asked = [message.content for message in server.requests[-1].body.messages]

    assert [record.get("content") for record in left] == [None, "one"]
    assert (code, output.splitlines()) == (0, ["You said: one", "You said: two"])
    assert asked[1:] == ["one", "You said: one", "two"]
    assert [record["seq"] for record in records(config)] == list(range(len(records(config))))


async def test_a_reply_shown_before_a_kill_and_without_a_receipt_is_shown_again_with_a_mark(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        config = write_config(tmp_path, server.base_url)
        await talk(config, "one")
        [path] = (tmp_path / "workspace" / "sessions").glob("*.jsonl")
        lines = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(b"".join(lines[:-1]))
        _, output, _ = await talk(config, "two")

    assert b'"delivery"' in lines[-1]
    assert output.splitlines() == ["[Shown again after a restart:]", "You said: one", "You said: two"]

"""This module is a chat on a terminal with a bot that takes the loopback server for Slack."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.platforms.slack_server import APP_TOKEN, BOT_TOKEN, SlackServer


async def chat(port: int) -> None:
    """Post every line that is typed, and print what the bot says, changes and deletes, until the input ends."""
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with SlackServer(port) as server, asyncio.TaskGroup() as tasks:
        tokens = f'bot_token = "{BOT_TOKEN}" and app_token = "{APP_TOKEN}"'
        _print(f"{server.base_url} is Slack for {tokens}; you are Ada, in direct messages with the bot.")
        printing = tasks.create_task(_print_effects(server), name="print")
        while line := await lines.readline():
            if text := line.decode().rstrip("\n"):
                server.post(text)
        printing.cancel()


async def _print_effects(server: SlackServer) -> None:
    printed = refused = 0
    while True:
        server.changed.clear()
        for effect in server.effects[printed:]:
            if effect.method != "written":
                how = {"chat.postMessage": "", "chat.update": "~"}.get(effect.method, "-")
                _print(f"{how}[{effect.ts}] {effect.text}")
        for refusal in server.refusals[refused:]:
            _print(f"refused: {refusal}")
        printed, refused = len(server.effects), len(server.refusals)
        await server.changed.wait()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run until the end of the input."""
    parser = argparse.ArgumentParser(description="A Slack on this machine.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(chat(parser.parse_args().port))

"""This module is a chat on a terminal with a bot that takes the loopback server for Discord."""

from __future__ import annotations

import argparse
import asyncio
import sys

from tests.platforms.discord_server import ADA_DM, TOKEN, DiscordServer

MARKS = {"send": "", "edit": "~", "delete": "-"}


async def chat(port: int) -> None:
    """Post every line that is typed, and print what the bot says, changes and deletes, until the input ends.

    A line that begins with / uses a slash command, if the bot has registered it.
    """
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with DiscordServer(port) as server, asyncio.TaskGroup() as tasks:
        where = f'{server.base_url} and {server.gateway_url} are Discord for token = "{TOKEN}"'
        _print(f"{where}; you are Ada, in channel {ADA_DM}.")
        printing = tasks.create_task(_print_effects(server), name="print")
        while line := await lines.readline():
            if text := line.decode().rstrip("\n"):
                _say(server, text)
        printing.cancel()


def _say(server: DiscordServer, text: str) -> None:
    name = text.removeprefix("/").split()[0] if text.startswith("/") and text != "/" else ""
    if name in server.commands.names:
        server.interact(name)
    else:
        server.post(text)


async def _print_effects(server: DiscordServer) -> None:
    printed = refused = 0
    answered: set[int] = set()
    while True:
        server.changed.clear()
        for effect in server.effects[printed:]:
            if effect.method in MARKS:
                _print(f"{MARKS[effect.method]}[{effect.message_id}] {effect.text}")
        for made in server.interactions.values():
            if made.is_ephemeral and made.id not in answered:
                answered.add(made.id)
                _print(f"/{made.name}: {made.text}")
        for refusal in server.refusals[refused:]:
            _print(f"refused: {refusal}")
        printed, refused = len(server.effects), len(server.refusals)
        await server.changed.wait()


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Run until the end of the input."""
    parser = argparse.ArgumentParser(description="A Discord on this machine.")
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(chat(parser.parse_args().port))

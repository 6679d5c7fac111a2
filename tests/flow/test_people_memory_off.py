"""These tests check `agentd people` beside a daemon with memory switched off: what it kept before counts still."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from agentd.transcript.clock import utc_now
from memory.opening import open_memory
from tests.contract.memory_stands import postgres
from tests.flow.test_people_erase import learn
from tests.flow.town import ADA, Town
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]

OFF = "[memory]\nenabled = false\n"
HER, HIM = "telegram:700001", "telegram:800002"
SESSION = "telegram~bot~700001~~700001"


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as server:
        yield server


async def check_erased(town: Town, location: Path | SecretStr) -> None:
    """Let what was kept be told of, then be gone, beside the daemon; another's stays."""
    async with open_memory(location, utc_now) as memory:
        await learn(memory, SESSION, HER, "Has a scarlet fact", "I have a scarlet fact")
        await learn(memory, "telegram~bot~800002~~800002", HIM, "Has a golden fact", "I have a golden fact")
    async with town.open() as (telegram, _):
        await telegram.say(ADA, "I have a violet umbrella")
        exported = await town.command("people", "export", HER)
        listed = await town.command("people", "list", "--json")
        code, output, errors = await town.command("people", "erase", HER, "--yes")
    async with open_memory(location, utc_now) as memory:
        left = {person: await memory.export(frozenset({person})) for person in (HER, HIM)}

    assert "Has a scarlet fact" in exported[1], exported
    assert HIM in [person["person"] for person in json.loads(listed[1])]
    assert (code, "memory: 2 entries erased" in output) == (0, True), output + errors
    assert "Nothing of the person is left" in output
    assert (len(left[HER]), len(left[HIM])) == (0, 2)


async def test_a_file_that_is_not_in_use_is_erased_from(tmp_path: Path, server: OpenAIServer) -> None:
    (tmp_path / "workspace").mkdir(mode=0o700)
    await check_erased(Town(tmp_path, server, OFF), tmp_path / "workspace" / "memory.db")


async def test_a_database_that_is_not_in_use_is_erased_from(
    tmp_path: Path, server: OpenAIServer, postgres: PostgresServer
) -> None:
    url = postgres.new_database()
    storage = f'[storage]\nurl = "{url.get_secret_value()}"\n'
    await check_erased(Town(tmp_path, server, f"{OFF}{storage}"), url)

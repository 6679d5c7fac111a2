"""These tests check `agentd pair`, beside a running daemon and without one."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentd.errors import AgentdError
from agentd.service.control_client import ask_daemon
from agentd.service.workspace import hold_workspace
from agentd.transcript.clock import utc_now
from channels.base import Author
from tests.flow.doorstep import ADA, EVE, Doorstep, Platform
from tests.platforms.openai_server import OpenAIServer


@pytest.fixture
async def doorstep(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with OpenAIServer() as server:
        yield Doorstep(tmp_path, server)


async def code_of(platform: Platform, stranger: Author = EVE) -> str:
    """Let a stranger ask, and return the code that they were shown."""
    found = re.search(r"Your code is ([A-Z2-9]{8})\.", await platform.ask(stranger, "hello"))
    assert found
    return found[1]


async def test_a_running_daemon_lists_who_waits_lets_them_in_at_once_and_tells_them(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        code = await code_of(platform)
        [waiting] = await doorstep.listed()
        done = await doorstep.pair("approve", code)
        told = platform.texts(EVE)[-1]
        answer = await platform.ask(EVE, "hello again")
        left, paired = await doorstep.listed(), await doorstep.listed("--paired")

    assert (waiting["code"], waiting["channel"], waiting["sender"]) == (code, "telegram", "3")
    assert timedelta() < datetime.fromisoformat(waiting["expires"]) - utc_now() <= timedelta(hours=1)
    assert done == (0, "telegram:3 (Eve (@eve)) may talk now, and has been told.\n", "")
    assert told.startswith("You may talk to me now.")
    assert answer == "You said: hello again"
    assert left == []
    assert [(entry["channel"], entry["sender"], entry["code"], entry["expires"]) for entry in paired] == [
        ("telegram", "3", None, None)
    ]


async def test_without_a_daemon_the_next_one_knows(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        code = await code_of(platform)
    [waiting] = await doorstep.listed()
    done = await doorstep.pair("approve", code)
    async with doorstep.open() as platform:
        answer = await platform.ask(EVE, "hello again")
        removed = await doorstep.pair("revoke", "telegram:3")
    again = await doorstep.pair("revoke", "telegram:3")

    assert waiting["code"] == code
    assert done[:2] == (
        0,
        "telegram:3 (Eve (@eve)) may talk now, and has not been told: write to them that they may.\n",
    )
    assert answer == "You said: hello again"
    assert removed[0] == 0
    assert again[0] == 1
    assert "telegram:3 was not approved" in again[2]


async def test_who_is_revoked_is_a_stranger_to_the_running_daemon_at_once(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        await doorstep.pair("approve", await code_of(platform))
        await platform.ask(EVE, "hello")
        done = await doorstep.pair("revoke", "telegram:3")
        answer = await platform.ask(EVE, "hello?")
        allowed = await doorstep.pair("revoke", "telegram:1")
        still = await platform.ask(ADA, "hello")

    assert done[:2] == (
        0,
        "telegram:3 is no longer approved, and may talk only if the configuration allows it.\n",
    )
    assert "agentd pair approve" in answer
    assert allowed[0] == 1
    assert still == "You said: hello"


@pytest.mark.parametrize("runs", [True, False], ids=["over a daemon", "without one"])
async def test_a_code_is_taken_in_any_case_and_grouping_once(doorstep: Doorstep, runs: bool) -> None:
    async with doorstep.open() as platform:
        code = (await code_of(platform)).lower()
        words = [f"{code[:3]}-{code[3:5]}", code[5:]]
        tries = [await doorstep.pair("approve", *words) for _ in range(2 if runs else 0)]
    tries += [await doorstep.pair("approve", *words) for _ in range(0 if runs else 2)]
    done, again = tries

    assert done[0] == 0
    assert again[:2] == (1, "")
    assert again[2].startswith(f"agentd: nobody waits with the code {code.upper()}: it may be mistyped, older than")


async def test_five_wrong_codes_lock_approval_through_a_restart_and_with_or_without_a_daemon(
    doorstep: Doorstep,
) -> None:
    request = {"command": "pair approve", "code": "wrong"}
    async with doorstep.open() as platform:
        code = await code_of(platform)
        for _ in range(3):
            with pytest.raises(AgentdError, match="nobody waits with the code WRONG"):
                await asyncio.to_thread(ask_daemon, doorstep.workspace, request, print)
    wrong = [await doorstep.pair("approve", "wrong") for _ in range(2)]
    refused = await doorstep.pair("approve", code)
    async with doorstep.open() as platform:
        refused_again = await doorstep.pair("approve", code)
        await (await platform.post(EVE, "hello")).settled()
        strangers_words = platform.texts(EVE)

    assert [done[0] for done in wrong] == [1] * 2
    assert refused[0] == refused_again[0] == 1
    assert refused[2].startswith("agentd: too many wrong codes: none is taken until 20")
    assert refused_again[2] == refused[2]
    assert strangers_words == []


async def test_an_expired_code_is_refused_with_a_sentence(doorstep: Doorstep) -> None:
    async with doorstep.open(lambda: utc_now() - timedelta(hours=1, seconds=1)) as platform:
        code = await code_of(platform)
    done = await doorstep.pair("approve", code)

    assert await doorstep.listed() == []
    assert done[0] == 1
    assert "older than an hour" in done[2]


async def test_who_cannot_be_told_is_approved_and_the_operator_hears_of_it(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        code = await code_of(platform)
        platform.refuses = True
        done = await doorstep.pair("approve", code)
        platform.refuses = False
        answer = await platform.ask(EVE, "hello")

    assert done[0] == 0
    assert "has not been told" in done[1]
    assert answer == "You said: hello"


async def test_no_name_steers_the_operators_terminal(doorstep: Doorstep) -> None:
    async with doorstep.open() as platform:
        code = await code_of(platform, Author("9", "Mallory\x1b]0;x\x07\x9b2J\n\u202egnp"))
        _, listed, _ = await doorstep.pair("list")
        _, approved, _ = await doorstep.pair("approve", code)
    _, paired, _ = await doorstep.pair("list", "--paired")

    for printed in (listed, approved, paired):
        assert "Mallory" in printed
        assert not [char for char in printed if not char.isprintable() and char != "\n"]
    assert len(listed.splitlines()) == len(paired.splitlines()) == 1
    assert listed.startswith(f"{code}  telegram:9  Mallory")


async def test_a_workspace_that_is_not_there_has_nobody_and_is_not_made(doorstep: Doorstep) -> None:
    assert await doorstep.listed() == []
    assert await doorstep.pair("list") == (0, "", "")
    assert not doorstep.workspace.exists()


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("approve", ". ."), "the code that the stranger was shown"),
        (("approve",), "CODE"),
        (("revoke", "telegram"), "write CHANNEL:SENDER"),
        (("revoke", "telegram:"), "write CHANNEL:SENDER"),
    ],
)
async def test_what_is_no_code_and_no_person_is_a_usage_error(
    doorstep: Doorstep, words: tuple[str, ...], hint: str
) -> None:
    code, _, errors = await doorstep.pair(*words)

    assert code == 2
    assert hint in " ".join(errors.split())


async def test_what_cannot_be_asked_gives_way_to_who_holds_the_workspace(doorstep: Doorstep) -> None:
    async with doorstep.open():
        pass
    with hold_workspace(doorstep.workspace):
        codes = [(await doorstep.pair(*words))[0] for words in (["list"], ["approve", "x"], ["revoke", "a:b"])]

    assert codes == [75, 75, 75]


async def test_a_state_that_cannot_be_used_is_a_sentence(doorstep: Doorstep) -> None:
    async with doorstep.open():
        pass
    (doorstep.workspace / "state.db").write_bytes(b"garbage")
    code, output, errors = await doorstep.pair("approve", "x")

    assert (code, output) == (1, "")
    assert errors == "agentd: state.db cannot be used (no database): check its owner, mode and disk\n"


@pytest.mark.parametrize("command", ["pair list", "pair approve", "pair revoke"])
async def test_a_request_that_is_none_is_refused_and_the_daemon_goes_on(doorstep: Doorstep, command: str) -> None:
    async with doorstep.open() as platform:
        with pytest.raises(AgentdError, match="this is no request"):
            await asyncio.to_thread(ask_daemon, doorstep.workspace, {"command": command, "paired": "maybe"}, print)
        answer = await platform.ask(ADA, "hello")

    assert answer == "You said: hello"


async def test_a_person_whose_id_is_no_text_is_nobody(doorstep: Doorstep) -> None:
    person = os.fsdecode(b"telegram:\xff")
    async with doorstep.open() as platform:
        over_a_daemon = await doorstep.pair("revoke", person)
        answer = await platform.ask(ADA, "hello")
    without = await doorstep.pair("revoke", person)

    assert (over_a_daemon[0], without[0]) == (1, 1)
    assert "Traceback" not in over_a_daemon[2] + without[2]
    assert answer == "You said: hello"

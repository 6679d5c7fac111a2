"""These tests check the service under a real systemd, from its first start to a restored backup."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest

from tests.flow.process import SECRET
from tests.platforms.openai_behaviours import slow
from tests.platforms.telegram_behaviours import slow as slow_answer
from tests.platforms.telegram_server import TOKEN
from tests.systemd.box import find_obstacle
from tests.systemd.stand import AGENTD, CONFIG, HURRIED, UNIT, Stand, open_stand

pytestmark = pytest.mark.skipif(find_obstacle() is not None, reason=find_obstacle() or "")

MOST_EXPOSURE = 2.0


async def test_it_is_active_once_it_is_ready_and_not_before(tmp_path: Path) -> None:
    answer = asyncio.Event()
    async with open_stand(tmp_path) as stand:
        stand.box.write(CONFIG, stand.config(), 0o600)
        await stand.box.do(AGENTD, "service", "install")
        verified = await stand.box.do("systemd-analyze", "verify", UNIT)
        security = await stand.box.do("systemd-analyze", "security", "agentd")
        stand.telegram.enqueue("getMe", slow_answer(answer))
        await stand.box.do("systemctl", "start", "--no-block", "agentd")
        await stand.until(lambda: stand.telegram.calls)
        before = await stand.box.show("ActiveState")
        answer.set()
        await stand.box.do("systemctl", "start", "agentd")
        after = await stand.box.show("ActiveState", "StatusText")
        reply = await stand.says("hello")
        environment = await stand.box.show("Environment")
        boot = await stand.box.do("cat", "/proc/sys/kernel/random/boot_id")

    [exposure] = re.findall(r"Overall exposure level for agentd.service: ([\d.]+)", security)
    assert (verified, float(exposure) <= MOST_EXPOSURE) == ("", True)
    assert environment == {"Environment": f"BOOT_ID={boot.strip().replace('-', '')}"}
    assert before == {"ActiveState": "activating"}
    assert after["ActiveState"] == "active"
    assert after["StatusText"].startswith("Answering on telegram")
    assert reply == "You said: hello"


async def test_its_secrets_show_nowhere_and_a_reload_takes_in_what_it_can(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        await stand.set_up()
        await stand.box.do("systemctl", "start", "agentd")
        await stand.says("hello")
        number = (await stand.box.show("MainPID"))["MainPID"]
        started_with = await stand.box.do("cat", f"/proc/{number}/environ", f"/proc/{number}/cmdline")
        ids = await stand.box.do("grep", "-E", "^(Uid|Gid|NoNewPrivs|CapBnd)", f"/proc/{number}/status")
        as_root = json.loads(await stand.box.do(AGENTD, "status", "--json"))
        stand.box.write(CONFIG, stand.box.path(CONFIG).read_text("utf-8") + '\n[log]\nlevel = "debug"\n')
        await stand.box.do("systemctl", "reload", "agentd")
        while '"event": "reloaded"' not in (events := await stand.box.journal()):
            pass
        while (reloaded := await stand.box.show("ActiveState", "MainPID"))["ActiveState"] == "reloading":
            pass
        told = started_with + await stand.box.do("systemctl", "show", "agentd") + events

    assert "CREDENTIALS_DIRECTORY" in started_with
    assert [secret for secret in (SECRET, TOKEN) if secret in told] == []
    assert re.search(r"^[UG]id:\s+0\s", ids, re.MULTILINE) is None
    assert re.search(r"CapBnd:\s+0+\nNoNewPrivs:\s+1\n", ids)
    assert as_root["sessions"] == 1
    assert reloaded == {"ActiveState": "active", "MainPID": number}
    assert '"changed": ["log.level"]' in told


async def test_it_comes_back_and_the_conversation_goes_on(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        await stand.set_up(HURRIED)
        await stand.box.do("systemctl", "start", "agentd")
        await stand.says("My name is Ada.")
        replies = [await _kill(stand, "KILL", "one"), await _kill(stand, "STOP", "two")]
        restarts = await stand.box.show("NRestarts")
        events = await stand.box.journal()
        await _back_up_and_restore(stand)
        replies.append(await stand.says("three"))
        asked = [message.content for message in stand.model.requests[-1].body.messages if message.role == "user"]

    assert replies == ["You said: one", "You said: two", "You said: three"]
    assert restarts == {"NRestarts": "2"}
    assert "Watchdog timeout" in events
    assert asked == ["My name is Ada.", "one", "two", "three"]


async def _kill(stand: Stand, signal: str, text: str) -> str:
    """Send a signal to a service that is ready, and say something to whoever answers then."""
    await stand.box.do("systemctl", "start", "agentd")
    polls = stand.polls
    await stand.box.do("systemctl", "kill", "--kill-whom=main", f"--signal={signal}", "agentd")
    if signal == "STOP":
        await stand.until(lambda: stand.polls > polls)
    return await stand.says(text)


async def _back_up_and_restore(stand: Stand) -> None:
    """Do as docs/operations.md says, word for word."""
    for line in (
        *_commands("Back up"),
        "rm -rf /var/lib/private/agentd /etc/agentd /etc/credstore",
        *_commands("Restore"),
    ):
        await stand.box.do("sh", "-c", line)


def _commands(heading: str) -> list[str]:
    """Return the commands under a heading of the handbook."""
    text = (Path(__file__).parents[2] / "docs" / "operations.md").read_text("utf-8")
    _, _, section = text.partition(f"## {heading}\n")
    _, _, block = section.partition("```sh\n")
    commands, _, _ = block.partition("```")
    return [line.replace("sudo ", "") for line in commands.splitlines()]


async def test_a_reply_under_way_is_finished_before_it_stops(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with open_stand(tmp_path) as stand:
        await stand.set_up()
        await stand.box.do("systemctl", "start", "agentd")
        stand.model.enqueue(slow(["slow ", "but whole"], gate))
        stand.telegram.post("hello")
        await stand.until(lambda: stand.model.requests)
        await stand.box.do("systemctl", "stop", "--no-block", "agentd")
        while (state := await stand.box.show("ActiveState", "StatusText"))["StatusText"].startswith("Answering"):
            pass
        gate.set()
        await stand.box.do("systemctl", "stop", "agentd")
        ended = await stand.box.show("ActiveState", "Result")
        events = await stand.box.journal()

    assert state["ActiveState"] == "deactivating"
    assert state["StatusText"].startswith("Stopping")
    assert {text for _, text in stand.shown()} == {"slow but whole"}
    assert ended == {"ActiveState": "inactive", "Result": "success"}
    assert '"event": "daemon_stopped"' in events


async def test_a_configuration_that_cannot_be_used_waits_for_a_person(tmp_path: Path) -> None:
    async with open_stand(tmp_path) as stand:
        await stand.set_up(HURRIED)
        stand.box.write(CONFIG, f"{stand.config()}[agent]\nmailbox_size = 0\n")
        started = await stand.box.run("systemctl", "start", "agentd")
        ended = await stand.box.show("ActiveState", "SubState", "ExecMainStatus", "NRestarts")
        events = await stand.box.journal()

    assert started.code != 0
    assert ended == {"ActiveState": "failed", "SubState": "failed", "ExecMainStatus": "78", "NRestarts": "0"}
    assert "agent.mailbox_size" in events

"""These tests check `agentd trace`, beside a running daemon and without one, and the same trace in the log."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.flow.bot import ADA, Bot, open_bot
from tests.flow.commands import run_command
from tests.flow.process import records, started, talk, write_config
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.openai_behaviours import failing, hang, unauthorised
from tests.platforms.openai_server import OpenAIServer

CAT = "By the way, my cat is called Tom these days."
ONE_TRY = "[tasks]\nmax_attempts = 1\n"


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Bot]:
    async with open_bot(tmp_path) as opened:
        yield opened


async def trace(bot: Bot, *words: str) -> tuple[int, str, str]:
    done = await asyncio.to_thread(run_command, bot.folder / "config.toml", "trace", *words)
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def hops(bot: Bot, *words: str) -> list[dict[str, Any]]:
    code, output, errors = await trace(bot, *words, "--json")
    assert (code, errors) == (0, "")
    found: list[dict[str, Any]] = json.loads(output)
    return found


async def told(bot: Bot, which: str, of_memory: str) -> None:
    """Wait until memory is said to have this of a message."""
    while of_memory not in (what := (await hops(bot, which))[-1]["what"]) or "being" in what or "waits" in what:
        pass  # a command takes its time


def remembering(clerk: ClerkServer) -> str:
    return (
        f'{ONE_TRY}[memory]\nenabled = true\n[provider.background]\nkind = "openai"\n'
        f'base_url = "{clerk.base_url}"\nmodel = "clerk"\n'
    )


async def test_an_answered_message_is_followed_by_its_trace_its_platforms_id_or_its_place(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Hello, do you know my secret word?")
        await bot.settled()
        [said] = bot.records("user")
        found = await hops(bot, said["trace"])
        session = found[0]["session"]
        same = [await hops(bot, *words) for words in ((said["source"]["message_id"],), (session, "1"), (session, "#1"))]
        reply = bot.records("delivery")[0]["message_ids"][0]
        by_reply = await hops(bot, reply)
    after = await hops(bot, said["trace"])
    _, text, _ = await trace(bot, said["trace"])

    names = [hop["hop"] for hop in found]
    assert (names[:3], sorted(names[3:5]), names[5:]) == (
        ["sent", "accepted", "sending"],
        ["replied", "shown"],  # the id that the platform gave, and the reply, are written in either order
        ["delivered", "memory"],
    )
    assert [hop["at"] for hop in found[:-1]] == sorted(hop["at"] for hop in found[:-1])
    assert all(hop["trace"] == said["trace"] and hop["seq"] == 1 for hop in found)
    assert found[-1]["what"].startswith("there is no memory")
    assert same == [found] * 3
    assert by_reply == after == found
    assert text.startswith(f"message {said['source']['message_id']} of ")
    assert [line.split()[3] for line in text.splitlines()[2:-1]] == [hop["hop"] for hop in found[1:-1]]
    assert "secret word" not in text


async def test_a_message_that_waits_says_why_beside_the_daemon_and_without_it(bot: Bot) -> None:
    bot.model.enqueue(hang())
    async with bot.run("[service]\ndrain_seconds = 0.05"):
        bot.telegram.post("Hello")
        await bot.until(lambda: bool(bot.model.requests))
        first = bot.records("user")[0]["trace"]
        beside = (await hops(bot, first))[-1]
        (bot.folder / "workspace" / "control.sock").unlink()
        unheard = (await hops(bot, first))[-1]
    without = (await hops(bot, first))[-1]

    assert (beside["hop"], beside["at"]) == ("pending", None)
    assert "a reply is being made in this session" in beside["what"]
    assert "a daemon runs here, and what it does cannot be asked: another daemon (process" in unheard["what"]
    assert "no daemon runs here, the next start answers it" in without["what"]


async def test_a_message_without_a_reply_says_why(bot: Bot) -> None:
    bot.model.enqueue(unauthorised())
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
        found = await hops(bot, bot.records("user")[0]["trace"])

    failed = next(hop for hop in found if hop["hop"] == "failed")
    assert failed["what"].startswith("no reply: the model could not be asked, or broke off: ")
    assert "provider.api_key" in failed["what"]
    assert found[-1]["hop"] == "delivered"


async def test_what_memory_has_of_a_message_is_its_last_hop(bot: Bot) -> None:
    clerk = ClerkServer()
    async with clerk:
        clerk.gate = asyncio.Event()
        async with bot.run(remembering(clerk)):
            bot.telegram.post(CAT)
            await bot.settled()
            await clerk.half_said.wait()
            learnt = bot.records("user")[0]["trace"]
            during = (await hops(bot, learnt))[-1]
            clerk.gate.set()
            bot.telegram.post("hm")
            await bot.settled(2)
            await told(bot, learnt, "learnt from")
            short = (await hops(bot, bot.records("user")[1]["trace"]))[-1]
            clerk.failures = 5
            bot.telegram.post("And my dog is called Rex, as you may want to know.")
            await bot.settled(3)
            dead = bot.records("user")[2]["trace"]
            await told(bot, dead, "given up")
        without = [(await hops(bot, one))[-1]["what"] for one in (learnt, dead)]

    assert (during["hop"], during["what"]) == ("memory", "is being learnt from (task 1)")
    assert "own words in that turn are under 20 characters" in short["what"]
    assert "it is of a time when memory was off" in short["what"]
    assert without[0] == "learnt from"
    assert without[1].startswith("not learnt from, and given up (tried 1 times, the model could not be asked")
    assert "agentd tasks retry" in without[1]


async def test_what_is_not_found_or_found_twice_says_what_to_do(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
    [session] = bot.sessions()
    other = session.with_name("telegram~100~8~~8.jsonl")
    other.write_text(session.read_text().replace('"chat":"7"', '"chat":"8"').replace('"sender":"7"', '"sender":"8"'))
    message_id = bot.records("user")[0]["source"]["message_id"]
    unknown, twice = await trace(bot, "0123456789abcdef"), await trace(bot, message_id)
    no_message, words = await trace(bot, session.stem, "0"), await trace(bot, "a", "b")
    no_number = await trace(bot, session.stem, "9" * 5000)

    assert (unknown[0], unknown[1]) == (1, "")
    assert "message_refused" in unknown[2]
    assert "message_limited" in unknown[2]
    assert twice[0] == 1
    assert f"trace {bot.records('user')[0]['trace']} in {session.stem}" in twice[2]
    assert (no_message[0], words[0], no_number[0]) == (1, 2, 2)
    assert "is no message" in no_message[2]


async def test_a_copy_of_a_session_under_another_name_does_not_make_its_messages_ambiguous(bot: Bot) -> None:
    async with bot.run():
        bot.telegram.post("Hello")
        await bot.settled()
    [session] = bot.sessions()
    session.with_name("backup.jsonl").write_bytes(session.read_bytes())
    found = await hops(bot, bot.records("user")[0]["trace"])

    assert {hop["session"] for hop in found} == {session.stem}


async def test_a_stranger_leaves_no_record_and_is_found_in_the_log_by_the_platforms_id(
    bot: Bot, capfd: pytest.CaptureFixture[str]
) -> None:
    async with bot.run(allowed='["99"]'):
        bot.telegram.post("Let me in")
        await bot.until(lambda: bot.is_taken)
        code, _, errors = await trace(bot, "1")

    assert code == 1
    assert "unknown sender" in errors
    [refused] = [line for line in capfd.readouterr().out.splitlines() if "message_refused" in line]
    assert "message=1" in refused


def events_of(errors: str, trace: str) -> list[dict[str, Any]]:
    """Return what the log has of a trace, in its order."""
    found = [json.loads(line) for line in errors.splitlines() if trace in line]
    return [event for event in found if event.get("trace") == trace or trace in event.get("joined", [])]


def session_of(config: Path) -> str:
    [path] = (config.parent / "workspace" / "sessions").glob("*.jsonl")
    return path.stem


def on_its_way(events: list[dict[str, Any]]) -> list[str]:
    """Return the events' names; that it is on disk is said once, right before or after what that sets going."""
    names = [event["event"] for event in events]
    assert names.count("message_accepted") == 1
    assert names.index("message_accepted") in (1, 2, 3)
    return [name for name in names if name != "message_accepted"]


async def test_one_trace_in_the_log_tells_the_whole_way_without_a_word_of_it(tmp_path: Path) -> None:
    clerk = ClerkServer()
    async with OpenAIServer() as server, clerk:
        config = write_config(tmp_path, server.base_url, f'{remembering(clerk)}[log]\nlevel = "info"')
        async with started(config) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(f"{CAT}\n".encode())
            await process.stdout.readline()
            log = b""
            while b"exchange_learnt" not in log:
                log += await process.stderr.readline()
            process.send_signal(signal.SIGTERM)
            log += (await process.communicate())[1]
    events = events_of(log.decode(), records(config)[1]["trace"])

    assert on_its_way(events) == [
        "message_received",
        "turn_started",
        "recalled",
        "provider_asked",
        "first_piece",
        "ending_recorded",
        "reply_delivered",
        "turn_finished",
        "exchange_queued",
        "exchange_learnt",
    ]
    assert [event["timestamp"] for event in events] == sorted(event["timestamp"] for event in events)
    assert {event["session"] for event in events} == {session_of(config)}
    assert b"Tom" not in log


async def test_a_failure_and_a_command_are_told_under_their_own_traces(tmp_path: Path) -> None:
    async with OpenAIServer() as server:
        server.enqueue(failing(400))
        config = write_config(tmp_path, server.base_url)
        _, _, errors = await talk(config, "one", "/status")
    asked, command = (record["trace"] for record in records(config) if "source" in record)

    assert on_its_way(events_of(errors, asked)) == [
        "message_received",
        "turn_started",
        "provider_asked",
        "provider_failed",
        "ending_recorded",
        "reply_delivered",
        "turn_finished",
    ]
    assert on_its_way(events_of(errors, command)) == ["message_received", "command_obeyed", "reply_delivered"]
    assert [event["ending"] for event in events_of(errors, asked) if "ending" in event] == ["provider"]


async def test_messages_that_were_joined_are_found_under_each_of_their_traces(
    bot: Bot, capfd: pytest.CaptureFixture[str]
) -> None:
    async with bot.run('[agent]\ncollect_window_ms = 5000\n[channels_config]\nstream = "off"'):
        gate = asyncio.Event()
        bot.model.enqueue(hang())
        bot.telegram.post("One")
        await bot.until(lambda: bool(bot.model.requests))
        bot.telegram.post("Two")
        await bot.settled()
        gate.set()
    first, second = (record["trace"] for record in bot.records("user"))
    [reply] = bot.records("assistant")
    log = capfd.readouterr().out
    found = await hops(bot, first)

    assert reply["trace"] == second
    assert f"(trace {second})" in next(hop["what"] for hop in found if hop["hop"] == "replied")
    joined = next(line for line in log.splitlines() if "messages_joined" in line)
    assert first in joined
    assert second in joined
    delivered = next(line for line in log.splitlines() if "reply_delivered" in line)
    assert second in delivered
    assert ADA

"""These tests check repair and import beside a conversation: nothing is lost, nothing is answered twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.errors import AgentdError
from agentd.providers.base import TextDelta
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import read_lines
from agentd.transcript.records import SessionHeader, UserMessage, encode_line
from agentd.transcript.repair import repair_file
from agentd.transcript.tending import Tending
from agentd.transcript.verify import verify
from tests.fakes.provider import FakeProvider
from tests.flow.stage import START, Stage, daemon, until

ADA = SessionKey("fake", "bot", "dm", None, "ada")


class Client:
    """Keeps what it is told, and gives the bytes that the test wants to be sent."""

    def __init__(self, content: bytes = b"") -> None:
        """Send this content in pieces."""
        self.lines: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._content = content

    async def say(self, *lines: str) -> None:
        self.lines += lines

    async def body(self, size: int) -> AsyncIterator[bytes]:
        for start in range(0, size, 10):
            await self.gate.wait()
            yield self._content[start : min(start + 10, size)]


def spoil(path: Path, old: bytes, new: bytes) -> None:
    content = path.read_bytes()
    assert content.count(old) == 1
    assert len(old) == len(new)
    path.write_bytes(content.replace(old, new))


def damage(path: Path) -> list[str]:
    return [found.text for found in verify(path.stem, lambda: read_lines(path)) if found.is_damage]


def said_of(path: Path) -> list[str]:
    """Return all that verify says, notes of what waits too."""
    return [found.text for found in verify(path.stem, lambda: read_lines(path))]


async def repair(stage: Stage) -> tuple[int, list[str]]:
    client = Client()
    return await Tending(stage.store, lambda: START, stage.router.wake).repair(
        {"command": "repair"}, client
    ), client.lines


async def test_a_file_is_repaired_while_a_turn_runs_and_a_message_comes_in(tmp_path: Path) -> None:
    provider, gate = FakeProvider(), asyncio.Event()
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("first")
        path = stage.folder / f"{ADA.file_name}.jsonl"
        provider.enqueue(TextDelta("so far"), gate, TextDelta(", and done"))
        running = await stage.post("second")
        await stage.channel.shows("so far")
        spoil(path, b'"content":"first"', b'"content":"fir\x00t"')
        async with asyncio.TaskGroup() as tasks:
            repairing = tasks.create_task(repair(stage), name="repair")
            third = tasks.create_task(stage.post("third"), name="third")
        gate.set()
        for receipt in (running, third.result()):
            await receipt.settled()
        await stage.say("fourth")

    assert repairing.result()[0] == 0
    assert any("damaged bytes moved" in line for line in repairing.result()[1])
    assert damage(path) == []
    said = [record["content"] for record in stage.records() if record.get("role") == "user"]
    answered = [seq for record in stage.records() if record.get("role") == "assistant" for seq in record["answers"]]
    assert said == ["second", "third", "fourth"]
    assert len(answered) == len(set(answered)) == 4
    assert stage.channel.texts == ["ok", "so far, and done", "ok", "ok"]


async def test_a_sleeping_session_whose_answer_was_damaged_answers_again_after_the_repair(tmp_path: Path) -> None:
    async with daemon(tmp_path, settings=AgentSettings(idle_minutes=0.0001)) as stage:
        stage.provider.enqueue(TextDelta("the only answer"))
        await stage.say("first")
        await until(lambda: stage.router.count()[0] == 0)
        spoil(stage.folder / f"{ADA.file_name}.jsonl", b'"content":"the only', b'"content":"the\x00only')
        code, _ = await repair(stage)
        await stage.channel.shows("ok")

    assert code == 0
    assert [record["content"] for record in stage.records() if record.get("role") == "assistant"] == ["ok"]


async def test_the_message_of_the_running_turn_may_itself_be_what_is_damaged(tmp_path: Path) -> None:
    provider, gate = FakeProvider(), asyncio.Event()
    async with daemon(tmp_path, provider=provider) as stage:
        provider.enqueue(TextDelta("so far"), gate, TextDelta(", and done"))
        running = await stage.post("first")
        await stage.channel.shows("so far")
        path = stage.folder / f"{ADA.file_name}.jsonl"
        spoil(path, b'"content":"first"', b'"content":"fir\x00t"')
        await repair(stage)
        gate.set()
        await running.settled()
        await stage.say("second")

    assert damage(path) == []
    assert stage.channel.texts == ["so far, and done", "ok"]


async def test_a_message_whose_answer_was_lost_is_answered_at_once_where_its_session_is_awake(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("first")
        path = stage.folder / f"{ADA.file_name}.jsonl"
        spoil(path, b'"content":"ok"', b'"content":"o\x00"')
        await repair(stage)
        await stage.say("second")

    assert damage(path) == []
    assert [record["content"] for record in stage.records() if record.get("role") == "user"] == ["first", "second"]
    answered = [seq for record in stage.records() if record.get("role") == "assistant" for seq in record["answers"]]
    assert len(answered) == len(set(answered)) == 2


async def test_an_earlier_turn_whose_answer_was_lost_is_not_answered_again_by_the_next_run(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("the first answer"))
    async with daemon(tmp_path, provider=provider) as stage:
        await stage.say("first")
        await stage.say("second")
        path = stage.folder / f"{ADA.file_name}.jsonl"
    spoil(path, b'"content":"the first', b'"content":"the\x00first')
    before = said_of(path)
    repair_file(path, "2026-01-01T12:00:00.000Z")
    after, asked = said_of(path), len(provider.requests)
    async with daemon(tmp_path, channel=stage.channel, provider=provider) as stage:
        pass
    unasked = len(provider.requests) - asked
    async with daemon(tmp_path, channel=stage.channel, provider=provider) as stage:
        await stage.say("third")

    assert any("the next run does not look for it" in text for text in before)
    assert after == []
    assert unasked == 0
    assert stage.channel.texts == ["the first answer", "ok", "ok"]
    assert [text for _, text in stage.prompt()[1:]] == [
        "first",
        "[What was said here is lost.]",
        "second",
        "ok",
        "third",
    ]
    assert said_of(path) == []


async def test_nothing_waits_after_a_repair_beside_the_daemon_of_what_stands_before_a_reset(tmp_path: Path) -> None:
    provider = FakeProvider()
    provider.enqueue(TextDelta("the first answer"))
    async with daemon(tmp_path, provider=provider) as stage:
        for text in ("first", "/new", "second"):
            await stage.say(text)
        path = stage.folder / f"{ADA.file_name}.jsonl"
        spoil(path, b'"content":"the first', b'"content":"the\x00first')
        code, lines = await repair(stage)
        after = said_of(path)
        await stage.say("third")

    assert code == 0
    assert lines[-1] == f"{path.name}: 1 records count as settled, since a later turn was delivered"
    assert after == said_of(path) == []
    assert [text for role, text in stage.prompt() if role == "user"] == ["second", "third"]
    assert stage.channel.texts[0] == "the first answer"
    assert len(provider.requests) == 3


async def test_a_file_that_cannot_be_repaired_is_named_and_those_after_it_are_repaired(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        for sender in ("ada", "bob", "cyd"):
            await stage.say("hello", sender=sender)
        paths = sorted(stage.folder.iterdir())
        for path in paths:
            path.write_bytes(path.read_bytes() + b"garbage\n")
        quarantine = paths[0].with_name(f"{paths[0].name}.quarantine")
        quarantine.symlink_to(tmp_path / "elsewhere")
        code, lines = await repair(stage)
        await stage.say("more", sender="ada")

    assert code == 1
    assert lines[0] == f"{paths[0]}: {quarantine}: Too many levels of symbolic links (not repaired)"
    assert [len(damage(path)) for path in paths] == [1, 0, 0]
    assert len(stage.channel.texts) == 4


async def test_a_message_that_comes_again_is_known_after_a_repair(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say("first", message_id="1")
        await stage.say("second", message_id="2")
        spoil(stage.folder / f"{ADA.file_name}.jsonl", b'"content":"first"', b'"content":"fir\x00t"')
        await repair(stage)
        await stage.say("second", message_id="2")

    assert len(stage.channel.texts) == 2


async def test_a_file_that_gets_its_own_name_back_is_the_open_sessions_history(tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        session = await stage.store.open(ADA)
        (stage.folder / "wrong.jsonl").write_bytes(content_of(ADA, "My name is Ada."))
        code, lines = await repair(stage)
        await stage.say("Who am I?")

    assert session.length > 0
    assert (code, lines) == (0, [f"wrong.jsonl: is now {ADA.file_name}.jsonl, as the key in it says"])
    assert ("user", "My name is Ada.") in stage.prompt()
    assert stage.channel.texts == ["ok"]
    assert damage(stage.folder / f"{ADA.file_name}.jsonl") == []


def content_of(key: SessionKey, *texts: str) -> bytes:
    ts = "2026-01-01T12:00:00.000Z"
    lines = [encode_line(SessionHeader(version=1, key=key, seq=0, ts=ts))]
    lines += [encode_line(UserMessage(content=text, seq=seq, ts=ts)) for seq, text in enumerate(texts, start=1)]
    return b"".join(lines)


async def take_in(stage: Stage, key: SessionKey, client: Client, size: int) -> int:
    return await bring(Tending(stage.store, lambda: START, stage.router.wake), key, client, size)


async def bring(tending: Tending, key: SessionKey, client: Client, size: int) -> int:
    request = {"command": "import", "size": size, "key": {name: getattr(key, name) for name in key.__struct_fields__}}
    return await tending.take_in(request, client)


async def test_an_imported_conversation_is_history_from_the_next_message_on(tmp_path: Path) -> None:
    content = content_of(ADA, "My name is Ada.")
    async with daemon(tmp_path) as stage:
        await take_in(stage, ADA, Client(content), len(content))
        await stage.say("Who am I?")

    assert ("user", "My name is Ada.") in stage.prompt()
    assert damage(stage.folder / f"{ADA.file_name}.jsonl") == []


async def test_a_session_that_is_there_or_open_is_never_imported_over(tmp_path: Path) -> None:
    content = content_of(ADA, "an import")
    async with daemon(tmp_path) as stage:
        opened = await stage.store.open(ADA)
        with pytest.raises(AgentdError, match="exists already"):
            await take_in(stage, ADA, Client(content), len(content))
        assert list(stage.folder.iterdir()) == []
        await stage.say("first")
        with pytest.raises(AgentdError, match="exists already"):
            await take_in(stage, ADA, Client(content), len(content))

    assert opened.path.read_bytes().count(b"an import") == 0


async def test_a_session_that_begins_while_its_import_comes_in_wins(tmp_path: Path) -> None:
    content, client = content_of(ADA, "an import"), Client(content_of(ADA, "an import"))
    client.gate.clear()
    async with daemon(tmp_path) as stage, asyncio.TaskGroup() as tasks:
        tending = Tending(stage.store, lambda: START, stage.router.wake)
        importing = tasks.create_task(refused(tending, client, len(content)), name="import")
        await asyncio.sleep(0)
        await refused(tending, Client(content), len(content))
        await stage.say("first")
        client.gate.set()
        await importing

    assert [record.get("content") for record in stage.records() if record.get("role") == "user"] == ["first"]
    assert len(list(stage.folder.iterdir())) == 1


async def refused(tending: Tending, client: Client, size: int) -> None:
    with pytest.raises(AgentdError, match="exists already"):
        await bring(tending, ADA, client, size)


@pytest.mark.parametrize("content", [b"", b"{}\n", content_of(SessionKey("fake", "bot", "another"), "x")])
async def test_what_is_not_the_session_that_was_announced_does_not_come_in(content: bytes, tmp_path: Path) -> None:
    async with daemon(tmp_path) as stage:
        with pytest.raises(AgentdError, match="not the session"):
            await take_in(stage, ADA, Client(content), len(content))
        left = list(stage.folder.iterdir())

    assert left == []

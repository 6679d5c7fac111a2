"""These tests check a disk that refuses: the person is told, nothing is half-written, the next message works."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from agentd.conversation.settings import AgentSettings
from agentd.providers.base import TextDelta
from agentd.transcript.disk import Write
from agentd.transcript.file_disk import FileDisk
from channels.errors import NotAccepted
from tests.fakes.disk import FakeDisk
from tests.flow.stage import Stage, daemon, until

FILE = "fake~bot~dm~~ada.jsonl"


class FullAt(FakeDisk):
    """A disk that is full exactly when a payload with this text is to be written, so many times."""

    def __init__(self, disk: FileDisk, text: bytes, times: int = 1) -> None:
        """Refuse `text`."""
        super().__init__(disk)
        self._text = text
        self._times = times

    @property
    def has_refused(self) -> bool:
        """Tell whether it has refused for the last time."""
        return self._times == 0

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Refuse the whole commit where it holds the text."""
        if self._times and any(self._text in write.payload for write in writes):
            self._times -= 1
            return [OSError(errno.ENOSPC, "No space left on device")] * len(writes)
        return super().commit(writes)


@pytest.fixture
def disk() -> Iterator[FileDisk]:
    with ThreadPoolExecutor(2) as flushers:
        yield FileDisk(flushers)


@asynccontextmanager
async def full_at(workspace: Path, disk: FileDisk, text: bytes) -> AsyncIterator[Stage]:
    (workspace / "sessions").mkdir()
    async with daemon(workspace, disk=FullAt(disk, text)) as stage:
        yield stage


async def test_a_message_that_cannot_be_written_is_not_accepted_and_the_next_is(tmp_path: Path, disk: FileDisk) -> None:
    async with full_at(tmp_path, disk, b"first") as stage:
        with pytest.raises(NotAccepted, match="No space left"):
            await stage.post("first")
        await stage.say("second")

        assert stage.kinds() == ["session", "user", "assistant", "draft", "draft", "delivery"]
        assert stage.channel.texts == ["ok"]


@pytest.mark.parametrize("record", [b'"sending"', b'"assistant"'])
async def test_a_reply_that_cannot_be_recorded_is_said_and_made_with_the_next(
    tmp_path: Path, disk: FileDisk, record: bytes
) -> None:
    async with full_at(tmp_path, disk, record) as stage:
        # Without a draft the model would not go on here: it is not waited for.
        stage.provider.enqueue(TextDelta("half"), stage.channel.called, TextDelta(" and half"))
        await stage.say("first")
        told = list(stage.channel.texts)
        await stage.say("second")
        ends = [record for record in stage.records() if record.get("role") == "assistant"]

        assert any("No space left" in text for text in told)
        assert sorted(seq for end in ends for seq in end["answers"]) == [
            record["seq"] for record in stage.records() if record.get("role") == "user"
        ]
        assert not any("went wrong on my side" in text for text in stage.channel.texts)


async def test_a_reply_whose_draft_could_not_be_recorded_is_delivered_once_and_not_made_again(
    tmp_path: Path, disk: FileDisk
) -> None:
    async with said_while_the_disk_refuses(tmp_path, disk, ["first"]) as stage:
        await until(lambda: stage.kinds()[-1] == "delivery")

        assert stage.channel.texts == ["an answer"]
        assert stage.records()[-1]["state"] == "sent"
        assert len(stage.provider.requests) == 1


async def test_a_reply_on_disk_is_delivered_by_itself_although_another_message_waits(
    tmp_path: Path, disk: FileDisk
) -> None:
    async with said_while_the_disk_refuses(tmp_path, disk, ["first", "second"]) as stage:
        await until(lambda: stage.kinds().count("delivery") == 2)

        assert stage.channel.texts == ["an answer", "ok"]
        assert len(stage.provider.requests) == 2


@asynccontextmanager
async def said_while_the_disk_refuses(workspace: Path, disk: FileDisk, texts: Sequence[str]) -> AsyncIterator[Stage]:
    """Say these while the draft of the first answer, which is sent, cannot be recorded."""
    refusing = FullAt(disk, b'"sent","message_id"')
    (workspace / "sessions").mkdir()
    async with daemon(workspace, disk=refusing, settings=AgentSettings(when_busy="followup")) as stage:
        gate = asyncio.Event()
        stage.provider.enqueue(TextDelta("an answer"), gate)
        await stage.post(texts[0])
        await until(lambda: refusing.has_refused)
        for text in texts[1:]:
            await stage.post(text)
        gate.set()
        yield stage


async def test_a_turn_that_could_not_be_recorded_is_made_again_for_who_has_written_meanwhile(
    tmp_path: Path, disk: FileDisk
) -> None:
    refusing = FullAt(disk, b'"assistant"')
    (tmp_path / "sessions").mkdir()
    async with daemon(tmp_path, disk=refusing, settings=AgentSettings(when_busy="followup")) as stage:
        gate = asyncio.Event()
        stage.provider.enqueue(TextDelta("an answer"), gate)
        await stage.post("first")
        await stage.channel.shows("an answer")
        await stage.post("second")
        gate.set()
        await until(lambda: stage.kinds().count("delivery") == 2)

        assert refusing.has_refused
        assert [request.messages[-1].content for request in stage.provider.requests] == ["first", "first", "second"]
        assert not any("I cannot answer now" in text for text in stage.channel.texts)


async def test_messages_are_taken_again_once_the_file_can_be_read(tmp_path: Path, disk: FileDisk) -> None:
    faulty = FakeDisk(disk)
    (tmp_path / "sessions").mkdir()
    faulty.fail_start(tmp_path / "sessions" / FILE, errno.EIO)
    async with daemon(tmp_path, disk=faulty) as stage:
        async with asyncio.TaskGroup() as tasks:
            refused = [tasks.create_task(refusal(stage, text)) for text in ("one", "two")]
        faulty.heal()
        await stage.say("three")

        assert [task.result() for task in refused] == [True, True]
        assert stage.channel.texts == ["ok"]


async def test_an_actor_is_not_forgotten_while_a_message_is_on_its_way_to_the_disk(
    tmp_path: Path, disk: FileDisk
) -> None:
    faulty = FakeDisk(disk)
    (tmp_path / "sessions").mkdir()
    async with daemon(tmp_path, disk=faulty, settings=AgentSettings(idle_minutes=1e-9)) as stage:
        gate = faulty.hold_commit()
        async with asyncio.TaskGroup() as tasks:
            saying = tasks.create_task(stage.say("one"))
            await until(gate.reached.is_set)
            for _ in range(100):
                await asyncio.sleep(0)
            alive = stage.router.count()[0]
            gate.opened.set()
            await saying

        assert alive == 1
        assert stage.channel.texts == ["ok"]


async def refusal(stage: Stage, text: str) -> bool:
    """Tell whether a message was not accepted."""
    try:
        await stage.post(text)
    except NotAccepted:
        return True
    return False


async def test_a_stop_whose_turn_could_not_be_put_on_disk_stops_it_all_the_same(tmp_path: Path, disk: FileDisk) -> None:
    async with full_at(tmp_path, disk, b'"reason":"stopped"') as stage:
        stage.provider.enqueue(asyncio.Event())
        await stage.post("one")
        await stage.provider.asked.wait()
        await stage.say("/stop")

        assert len(stage.provider.requests) == 1
        assert [r["reason"] for r in stage.records() if r["type"] == "failure"] == ["stopped"]


async def test_a_turn_that_could_not_be_put_on_disk_while_a_command_is_obeyed_is_not_made_again_at_once(
    tmp_path: Path, disk: FileDisk
) -> None:
    async with full_at(tmp_path, disk, b'"role":"assistant"') as stage:
        gate = asyncio.Event()
        stage.provider.enqueue(gate, TextDelta("an answer"))
        await stage.post("one")
        await stage.provider.asked.wait()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(stage.say("/status"))
            await until(lambda: "command" in stage.kinds())
            gate.set()
        await until(lambda: any("I cannot answer now" in text for text in stage.channel.texts))

        assert len(stage.provider.requests) == 1


async def test_an_answer_whose_delivery_could_not_be_recorded_is_not_said_to_be_missing(
    tmp_path: Path, disk: FileDisk
) -> None:
    async with full_at(tmp_path, disk, b'"type":"delivery"') as stage:
        await stage.post("one")
        await until(lambda: stage.kinds()[-1:] == ["delivery"])

        assert stage.channel.texts == ["ok"]
        assert stage.records()[-1]["state"] == "sent"


class SlowOnce(FakeDisk):
    """A disk whose first commit of a text waits to be let through."""

    def __init__(self, disk: FileDisk, text: bytes) -> None:
        """Hold `text` back."""
        super().__init__(disk)
        self._text = text
        self.held, self.let = threading.Event(), threading.Event()

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Wait, where the commit holds the text, the first time."""
        if not self.held.is_set() and any(self._text in write.payload for write in writes):
            self.held.set()
            self.let.wait(10)
        return super().commit(writes)


async def test_what_is_offered_again_while_its_first_commit_is_under_way_stands_once(
    tmp_path: Path, disk: FileDisk
) -> None:
    (tmp_path / "sessions").mkdir()
    slow = SlowOnce(disk, b"Hello")
    async with daemon(tmp_path, disk=slow) as stage:
        async with asyncio.TaskGroup() as tasks:
            first = tasks.create_task(stage.post("Hello", message_id="1"))
            await until(slow.held.is_set)
            first.cancel()  # as a channel is that is begun anew
            again = tasks.create_task(stage.post("Hello", message_id="1"))
            await asyncio.sleep(0)
            slow.let.set()
        await again.result().settled()

        assert first.cancelled()
        assert stage.kinds().count("user") == 1
        assert stage.channel.texts == ["ok"]


class FullThenSlow(SlowOnce):
    """A disk that is full for the first reply, and holds a text back later."""

    def __init__(self, disk: FileDisk, text: bytes) -> None:
        """Hold `text` back."""
        super().__init__(disk, text)
        self._is_full = True

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Refuse the first reply."""
        if self._is_full and any(b'"assistant"' in write.payload for write in writes):
            self._is_full = False
            return [OSError(errno.ENOSPC, "No space left on device")] * len(writes)
        return super().commit(writes)


async def test_what_was_cut_on_its_way_into_a_session_that_waits_for_a_message_is_answered(
    tmp_path: Path, disk: FileDisk
) -> None:
    (tmp_path / "sessions").mkdir()
    slow = FullThenSlow(disk, b"second")
    async with daemon(tmp_path, disk=slow) as stage:
        await stage.say("first")
        async with asyncio.TaskGroup() as tasks:
            cut = tasks.create_task(stage.post("second", message_id="2"))
            await until(slow.held.is_set)
            cut.cancel()  # as a channel is that is begun anew
            slow.let.set()
        await until(lambda: stage.kinds()[-1] == "delivery")
        await stage.say("second", message_id="2")

        assert cut.cancelled()
        assert [record["answers"] for record in stage.records() if record.get("role") == "assistant"] == [[1, 2]]
        assert stage.kinds().count("user") == 2

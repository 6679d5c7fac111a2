"""This module has people ask a daemon what it knows about them, in private, groups and threads, with a real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agentd.conversation.deadline import Slots
from agentd.conversation.remembrance import Remembrance
from channels.base import Address, Author, InboundMessage
from memory.model import Daily, Evidence, Exchange, Fact, LearnOutcome, Lesson, Words
from memory.ports import MemoryStore
from memory.settings import MemorySettings
from tests.contract.memory_stands import Opening, in_memory
from tests.fakes.channel import FakeChannel
from tests.fakes.queue import FakeQueue
from tests.flow.stage import START, Run, Stage, rehearsed

DM = Address("fake", "bot", "dm")
GROUP = Address("fake", "bot", "group")
THREAD = Address("fake", "bot", "group", "7")
SESSION = "fake~bot~dm~~ada"
"""Ada's conversation in private."""


@dataclass
class Asking:
    """A daemon that remembers, and the people who write to it."""

    stage: Stage
    store: MemoryStore

    async def ask(self, text: str, sender: str = "ada", place: Address = DM) -> str:
        """Write a command, and return what is shown for it; `is_private` says where others read along."""
        channel = self.stage.channel
        before = len(channel.sent)
        inbound = InboundMessage(
            place, Author(sender, sender.title()), f"{sender}-{next(self.stage.numbers)}", START, text,
            is_direct=is_private(place),
        )  # fmt: skip
        async with asyncio.timeout(10):
            receipt = await self.stage.router.accept(inbound)
            await receipt.settled()
        return "\n".join(channel.texts[before:])


@dataclass
class House:
    """What stays the same through all runs in a folder."""

    folder: Path
    store: MemoryStore
    links: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """All ids of a person, by each of them; an id that is not here is a person by itself."""

    def remembrance(self) -> Remembrance:
        """Return what the conversations are wired with."""
        return Remembrance(
            self.store, FakeQueue(), lambda person: self.links.get(person, frozenset({person})), MemorySettings()
        )

    @asynccontextmanager
    async def run(
        self, channel: FakeChannel | None = None, scope: str = "sender", slots: Slots | None = None
    ) -> AsyncIterator[Asking]:
        """Run the daemon; without `slots` turns do not wait for each other."""
        run = Run(self.folder, channel or FakeChannel(), scope=scope, memory=self.remembrance())
        run.slots = slots or run.slots
        async with rehearsed(run) as stage:
            yield Asking(stage, self.store)


@asynccontextmanager
async def open_house(folder: Path, opening: Opening = in_memory) -> AsyncIterator[House]:
    """Open a store, for as many runs as there are."""
    async with opening(folder) as store:
        yield House(folder, store)


def is_private(place: Address) -> bool:
    """Tell whether nobody else reads along there."""
    return place.chat.startswith("dm")


def exchange(text: str, sender: str = "ada", *, seq: int = 0, place: Address = DM) -> Exchange:
    """One message, as its conversation would hand it to memory."""
    session = f"fake~bot~{place.chat}~{place.thread or ''}~{sender}"
    return Exchange(session, seq, seq, f"fake:{sender}", sender.title(), is_private(place), (Words(seq, START, text),))


async def learn_fact(store: MemoryStore, said: Exchange, fact: str = "") -> int:
    """Let a fact be learnt from all that was said, and return its entry."""
    evidence = tuple(Evidence(said.session, words.seq, words.text) for words in said.said)
    learnt: LearnOutcome = await store.learn(Lesson(said, None, (Fact(fact or said.said[0].text, evidence),)))
    [change] = learnt.changes
    assert change.entry is not None
    return change.entry


async def learn_day(store: MemoryStore, said: Exchange) -> None:
    """Let what happened be learnt."""
    await store.learn(Lesson(said, Daily(said.said[0].text, START)))

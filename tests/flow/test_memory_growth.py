"""These tests check that memory does not learn from itself, in 500 turns with a model that repeats what was recalled.

Queue, store and conversation are the real ones. What is known in the end is what the person told, and no more.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

from agentd.conversation.remembrance import Remembrance
from agentd.conversation.settings import AgentSettings
from agentd.providers.base import CompletionRequest, Event, Finished, TextDelta, Usage
from agentd.providers.precedence import Precedence
from agentd.tasks.asking import Asker
from agentd.tasks.consolidating import build_consolidation
from agentd.tasks.exchanges import CONSOLIDATE
from agentd.tasks.late import open_late
from agentd.tasks.opening import Surroundings, open_tasks
from agentd.tasks.queue import Leaving, TaskQueue
from agentd.tasks.settings import TasksSettings
from memory.consolidation import HISTORY_BESIDE_CHARS
from memory.marks import RECALLED_END, RECALLED_HEAD, own_words
from memory.model import Kind, Memory
from memory.settings import MemorySettings
from memory.store_sqlite.store import SqliteMemory, open_sqlite_memory
from tests.fakes.provider import FakeProvider
from tests.fakes.scribe import Scribe
from tests.flow.stage import START, Run, rehearsed

TURNS = 500
TOLD_EVERY = 10
THINGS = (
    "stamps", "coins", "kettles", "maps", "puppets", "lanterns", "bottles", "shells", "postcards", "feathers",
    "bells", "fossils", "helmets", "buttons", "teapots", "dolls", "hats", "records", "magnets", "thimbles",
    "clocks", "candles", "keys", "spoons", "marbles", "badges", "masks", "mugs", "corks", "globes",
    "kites", "lamps", "dice", "ties", "matchboxes", "combs", "ribbons", "pens", "radios", "cameras",
    "boots", "swords", "vases", "anchors", "violins", "banknotes", "toys", "tiles", "chairs", "flags",
)  # fmt: skip
"""What they say that they collect, one after the other, a turn of ten each."""

INVENTED = ("yachts", "castles", "diamonds")
"""What the model says that they collect."""

SHORT = AgentSettings(max_history_messages=12, keep_recent_messages=4)
"""A summary is made every few turns."""

_COLLECTS = re.compile(r"\b(?:I |you |they )?(collects? (\w+))", re.IGNORECASE)
_SECTION = re.compile(r"<<<\n(.*?)\n>>>", re.DOTALL)


class Parrot(FakeProvider):
    """A model that says back what it was shown, in all the ways that people have seen, and invents the rest."""

    def __init__(self) -> None:
        """Begin with the first way."""
        super().__init__()
        self.blocks: list[str] = []
        """What was recalled, of each prompt."""
        self._ways = cycle((self._whole, self._bare, self._quoted, self._indented, self._inventing, self._summary))

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Say it."""
        shown = request.messages[-1].content
        self.blocks.append(shown[: shown.find(RECALLED_END)] if shown.startswith(RECALLED_HEAD) else "")
        self.enqueue(TextDelta(next(self._ways)(request) or "ok"))
        async for event in super().stream(request):
            yield event

    def _whole(self, request: CompletionRequest) -> str:
        return request.messages[-1].content

    def _bare(self, request: CompletionRequest) -> str:
        lines = re.findall(r"^\[memory [\d-]+\] (.*)$", request.messages[-1].content, re.MULTILINE)
        return "As I recall:\n" + "\n".join(lines) + "\nYou collect " + INVENTED[0] + "."

    def _quoted(self, request: CompletionRequest) -> str:
        return "\n".join(f"> {line}" for line in self._whole(request).splitlines())

    def _indented(self, request: CompletionRequest) -> str:
        return "\n".join(f"   **{line}**" for line in self._whole(request).splitlines())

    def _inventing(self, request: CompletionRequest) -> str:
        del request
        return f"I remember that you collect {INVENTED[1]}. You told me: I collect {INVENTED[2]}."

    def _summary(self, request: CompletionRequest) -> str:
        return "\n".join(message.content for message in request.messages[:3])


@dataclass
class Clerk:
    """A model that proposes a fact for all that it ever saw somebody collect, whoever said so."""

    model: str = "clerk"
    context_tokens: int | None = None
    seen: dict[str, str] = field(default_factory=dict)
    """What, and the words in which it was said last."""
    asked: int = 0

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Propose the newest ten."""
        self.asked += 1
        said, *others = _SECTION.findall(request.messages[-1].content)
        for text in (*others, said):
            for found in _COLLECTS.finditer(text):
                self.seen.pop(found[2], None)
                self.seen[found[2]] = found[0]
        facts = [fact for what, words in [*self.seen.items()][-10:] for fact in self._facts(what, words, said)]
        history = f"They wrote: {said} The assistant said: {' '.join(others)} Known: {' '.join(self.seen)}"
        yield TextDelta(json.dumps({"history_entry": history, "facts": facts[-10:]}))
        yield Finished("stop", Usage(), self.model)

    def _facts(self, what: str, words: str, said: str) -> Iterator[dict[str, object]]:
        quote = (words, f"I collect {what}", "", said[:200])[self.asked % 4]
        yield {"fact": f"Collects {what}", "quote": quote, "about": "", "importance": 0.5}


@dataclass
class Talk:
    """What a person wrote, turn after turn."""

    told: set[str] = field(default_factory=set)
    """What they said that they collect."""
    own: list[int] = field(default_factory=list)
    """How long each of their messages is, without what they quote."""

    def next(self, number: int, shown: str) -> str:
        """Return the next message, after an answer that they see."""
        if number % TOLD_EVERY == 3:
            thing = THINGS[number // TOLD_EVERY]
            self.told.add(thing)
            text = f"I collect {thing}, and found a new one on the market today."
        elif number % TOLD_EVERY == 5:
            text = "\n".join(f"> {line}" for line in shown.splitlines()) + "\nWhat did you mean with those lines?"
        elif number % TOLD_EVERY == 7:
            text = f"{shown}\n\nWhat did you mean with that, number {number}?"
        else:
            text = f"How will the weather be on the market on day {number}, do you think?"
        self.own.append(len(own_words(text)))
        return text


@dataclass(frozen=True, slots=True)
class Outcome:
    """What there is in the end."""

    entries: tuple[Memory, ...]
    messages: dict[int, str]
    """What the person wrote, by seq."""
    summaries: int


async def test_after_500_turns_is_known_what_the_person_said_and_nothing_else(tmp_path: Path) -> None:
    talk, parrot, clerk = Talk(), Parrot(), Clerk()
    outcome = await converse(tmp_path, talk, parrot, clerk)
    core = [entry for entry in outcome.entries if entry.kind is Kind.CORE]
    daily = [entry for entry in outcome.entries if entry.kind is Kind.DAILY]
    blocks = [re.findall(r"^\[memory [\d-]+\] (.*)$", block, re.MULTILINE) for block in parrot.blocks]

    assert len(talk.told) == TURNS // TOLD_EVERY
    assert sorted(entry.text for entry in core) == sorted(f"Collects {thing}" for thing in talk.told)
    for entry in core:
        assert entry.evidence
        for given in entry.evidence:
            assert given.quote in " ".join(own_words(outcome.messages[given.seq]).split())
            assert "collect" in given.quote
    assert len({entry.last for entry in daily}) == len(daily) <= clerk.asked <= TURNS
    assert sum(len(entry.text) for entry in daily) <= sum(length + HISTORY_BESIDE_CHARS for length in talk.own)
    assert outcome.summaries > 10
    assert sum(map(bool, blocks)) > TURNS / 2
    assert max(map(len, blocks)) <= 4
    assert max(len(line) for block in blocks for line in block) <= 800
    assert max(sum(map(len, block)) for block in blocks) <= 4000


async def converse(folder: Path, talk: Talk, parrot: Parrot, clerk: Clerk) -> Outcome:
    """Hold all turns, and let all of them be learnt from."""
    scribe = parrot.background = Scribe()
    scribe.answer = f"- They said: I collect {INVENTED[0]}\n- I collect {INVENTED[1]} and {THINGS[0]}"
    async with open_sqlite_memory(folder / "memory.db", lambda: START) as store:
        async with open_queue(folder, store, clerk) as queue:
            memory = Remembrance(store, queue, lambda person: frozenset({person}), MemorySettings())
            async with rehearsed(Run(folder, provider=parrot, settings=SHORT, memory=memory)) as stage:
                for number in range(TURNS):
                    before = stage.channel.texts[-1] if stage.channel.sent else ""
                    await stage.say(talk.next(number, before))
                    if number % TOLD_EVERY == 0:
                        await drained(queue)
                records = stage.records()
            await drained(queue)
        entries = await store.export(frozenset({"fake:ada"}))
    messages = {record["seq"]: record["content"] for record in records if record.get("role") == "user"}
    return Outcome(entries, messages, sum(record["type"] == "compaction" for record in records))


@asynccontextmanager
async def open_queue(folder: Path, store: SqliteMemory, clerk: Clerk) -> AsyncIterator[TaskQueue]:
    """Open the queue as the daemon does, with the job that learns."""

    async def learnt() -> None:
        """Have no more to do."""

    def opened(queue: TaskQueue) -> AbstractAsyncContextManager[TaskQueue]:
        del queue
        asker = Asker(clerk, asyncio.Semaphore(4), Precedence(4, cuts=False))
        jobs = {CONSOLIDATE: build_consolidation(store, asker.on_behalf_of, learnt)}
        return open_tasks(folder / "tasks.db", TasksSettings(), jobs, Surroundings(lambda: START, Leaving(lambda: 5.0)))

    async with open_late(opened, at_once=False) as queue:
        yield queue


async def drained(queue: TaskQueue) -> None:
    """Wait until every task is done; none may be dead."""
    async with asyncio.timeout(20):
        while await queue.entries():  # noqa: ASYNC110 - a task that is done has no event
            await asyncio.sleep(0.002)
    assert await queue.entries(dead=True) == []

"""This module is a crowd of people who write at once, and it tracks what became of everything that they wrote.

Each question is unlike any other, and each answer names the questions that it answers (`Model`). Whoever writes waits
for the answer, but not for ever: then they write again, so that there is traffic while nothing gets through.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer

END = "that is all."
"""Ends every answer: one without it is not whole."""
COPY = "Sent again:"
"""Stands in the note on a message that may be a copy."""

_NAME = re.compile(r"\bQ\d+n\d+\b")

Until = Callable[[Callable[[], object]], Awaitable[None]]
"""Waits until something is so that shows on the platform."""

Fault = Callable[[float, Until], Awaitable[None]]
"""Does it, and returns when it is over; what has a length lasts so many seconds."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a message of the bot's shows, or showed at some time."""

    place: Hashable
    text: str
    at_seconds: float = 0
    message_id: str = ""

    @property
    def names(self) -> list[str]:
        """The questions that it answers."""
        return _NAME.findall(self.text)

    @property
    def is_copy(self) -> bool:
        """Whether it says that it may be one."""
        return COPY in self.text

    @property
    def is_whole(self) -> bool:
        """Whether it has come to its end."""
        return self.text.rstrip().endswith(END)


class Platform(Protocol):
    """Where people write: a server on this machine."""

    name: str
    config: str
    """What the daemon's configuration says of it."""
    changed: asyncio.Event
    """Set whenever something happens."""
    faults: Mapping[str, Fault]

    @property
    def is_connected(self) -> bool:
        """Whether the bot hears what is written."""
        ...

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way to the bot."""
        ...

    def write(self, person: int, text: str) -> Hashable:
        """Let a person write, and return where the answer belongs."""
        ...

    def effects(self, since: int) -> Sequence[Seen]:
        """Return what was shown in the course of time, from the so-manieth on."""
        ...

    def screen(self) -> Sequence[Seen]:
        """Return everything that the bot's messages show now."""
        ...

    def wrongs(self) -> list[str]:
        """Return what the bot has done that the platform does not allow."""
        ...


class Model(OpenAIServer):
    """A model that takes a while, and names what it answers."""

    def __init__(self, words: int, piece_seconds: float) -> None:
        """Say so many words in each answer, a pause before each."""
        super().__init__()
        self._words = words
        self._piece_seconds = piece_seconds

    def _default(self, asked: Asked) -> Behaviour:
        return self._say

    async def _say(self, call: Call) -> web.StreamResponse:
        number = len(self.requests)
        try:
            await call.open()
            await call.say(f"Answer {number} to {' and '.join(_NAME.findall(call.asked.last_user_text))}: ")
            for count in range(number % 2, self._words):
                await asyncio.sleep(self._piece_seconds)
                await call.say(f"word {count}, ")
            await call.say(END)
            return await call.finish()
        except ConnectionError:
            return call.response  # who asked is gone


@dataclass(slots=True)
class Question:
    """One message that somebody wrote."""

    name: str
    phase: int
    """In which part of the run."""
    at_seconds: float
    place: Hashable = None
    answered_at: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Tally:
    """What became of what was written in one part of a run."""

    written: int
    lost: Sequence[str]
    """Questions that no whole answer names."""
    doubles: Sequence[str]
    """Questions that more than one answer names that does not say that it may be a copy."""
    misplaced: Sequence[str]
    """Questions that are answered where they were not asked."""
    copies: int
    """Answers that say that they may be copies."""
    slowest_seconds: float
    """The longest wait after the fault was over, of those that ended before the next one was."""


class Crowd:
    """So many people, talking at once."""

    def __init__(self, platform: Platform, people: int, patience_seconds: float) -> None:
        """Let nobody wait for an answer longer than that before writing again."""
        self.questions: dict[str, Question] = {}
        self.phase = 0
        self._platform = platform
        self._people = people
        self._patience_seconds = patience_seconds
        self._heard = asyncio.Event()

    @asynccontextmanager
    async def talking(self) -> AsyncIterator[None]:
        """Let everyone talk for as long as the block lasts."""
        async with asyncio.TaskGroup() as tasks:
            talks = [tasks.create_task(self._talk(person), name=f"person {person}") for person in range(self._people)]
            yield
            for talk in talks:
                talk.cancel()

    async def watch(self) -> None:
        """Note what is answered, until cancelled."""
        seen = 0
        while True:
            self._platform.changed.clear()
            effects = self._platform.effects(seen)
            seen += len(effects)
            for effect in effects:
                self._note(effect)
            self._heard.set()
            await self._platform.changed.wait()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows on the platform."""
        while not happened():
            self._heard.clear()
            await self._heard.wait()

    @property
    def is_answered(self) -> bool:
        """Whether nobody waits for an answer."""
        return all(question.answered_at is not None for question in self.questions.values())

    def written(self, phase: int) -> int:
        """Count what was written in a part so far."""
        return sum(question.phase == phase for question in self.questions.values())

    def tally(self, phase: int, over: tuple[float, float]) -> Tally:
        """Count what was written in a part; `over`: when its fault ended, and when the next one did."""
        asked = {name: question for name, question in self.questions.items() if question.phase == phase}
        answers: Counter[str] = Counter()
        whole: set[str] = set()
        copies: set[Seen] = set()
        elsewhere: dict[str, Hashable] = defaultdict(lambda: None)
        for seen in self._platform.screen():
            for name in asked.keys() & set(seen.names):
                answers[name] += not seen.is_copy
                if seen.is_copy:
                    copies.add(seen)
                if seen.is_whole:
                    whole.add(name)
                if seen.place != asked[name].place:
                    elsewhere[name] = seen.place
        waits = [
            question.answered_at - max(question.at_seconds, over[0])
            for question in self.questions.values()
            if question.answered_at is not None and over[0] <= question.answered_at < over[1]
        ]
        return Tally(
            written=len(asked),
            lost=sorted(asked.keys() - whole),
            doubles=sorted(name for name, count in answers.items() if count > 1),
            misplaced=sorted(elsewhere),
            copies=len(copies),
            slowest_seconds=max(waits, default=0.0),
        )

    async def _talk(self, person: int) -> None:
        await asyncio.sleep(person % 10 * 0.05)
        for number in itertools.count():
            question = Question(f"Q{person}n{number}", self.phase, time.monotonic())
            self.questions[question.name] = question
            question.place = self._platform.write(person, question.name)
            try:
                async with asyncio.timeout(self._patience_seconds):
                    await question.answered.wait()
            except TimeoutError:
                continue
            await asyncio.sleep(0.1 + (person * 7 + number) % 5 * 0.1)

    def _note(self, effect: Seen) -> None:
        if not effect.is_whole:
            return
        for name in effect.names:
            question = self.questions[name]
            if question.answered_at is None:
                question.answered_at = effect.at_seconds
                question.answered.set()

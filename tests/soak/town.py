"""This module is people on all platforms at once, who write when they like, and wait for answers or not."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field

from tests.load.crowd import Platform, Seen

__all__ = ["Question", "Town"]

ANIMALS = ("cat", "dog", "horse", "bird", "goat", "snail", "hen", "mouse")
NAMES = ("Tom", "Rex", "Ida", "Kiki", "Max", "Emma", "Otto", "Lou")
PER_PLATFORM = 1_000
"""People are numbered through: those of the next platform begin at the next such number."""
WAITING_SHARE = 0.5
"""So many of those who write wait for the answer, or at most `patience_seconds`."""
SHORT_SHARE = 0.2
"""So many messages are too short to be learnt from."""
MOST_FURTHER = 2
"""Messages that follow one at once; three of four stand alone."""


@dataclass(slots=True)
class Question:
    """One message that somebody wrote."""

    name: str
    platform: str
    text: str
    at_seconds: float
    place: Hashable = None
    answered_at: float | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Town:
    """All people, and what became of what they wrote, as far as it shows on the platforms."""

    def __init__(
        self, platforms: Sequence[Platform], people: int, chance: random.Random, pauses: float, patience: float
    ) -> None:
        """Spread so many people over the platforms; each pauses for so many seconds on average."""
        self.questions: dict[str, Question] = {}
        self.has_stopped = False
        self._platforms = platforms
        self._people = [(number % len(platforms), number // len(platforms)) for number in range(people)]
        self._chance = chance
        self._pause_seconds = pauses
        self._patience_seconds = patience
        self._heard = asyncio.Event()

    async def watch(self, platform: Platform) -> None:
        """Note what is answered on a platform, until cancelled."""
        seen = 0
        while True:
            platform.changed.clear()
            effects = platform.effects(seen)
            seen += len(effects)
            for effect in effects:
                self._note(effect)
            self._heard.set()
            await platform.changed.wait()

    async def until(self, happened: Callable[[], object]) -> None:
        """Wait until something is so that shows on a platform."""
        while not happened():
            self._heard.clear()
            await self._heard.wait()

    async def greet(self) -> None:
        """Let everyone write once, so that each place is known, and wait until all are answered."""
        for person in self._people:
            self._write(person)
        await self.until(lambda: all(question.answered_at is not None for question in self.questions.values()))

    async def talk(self) -> None:
        """Let everyone talk until `has_stopped` is set."""
        async with asyncio.TaskGroup() as tasks:
            talks = [tasks.create_task(self._talk(person), name=f"person {person}") for person in self._people]
            await self.until(lambda: self.has_stopped)
            for talk in talks:
                talk.cancel()

    def stop(self) -> None:
        """Let nobody write any more."""
        self.has_stopped = True
        self._heard.set()

    @property
    def waits_seconds(self) -> list[float]:
        """How long each waited whose answer was seen, the shortest first."""
        return sorted(
            question.answered_at - question.at_seconds
            for question in self.questions.values()
            if question.answered_at is not None
        )

    async def _talk(self, person: tuple[int, int]) -> None:
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / self._pause_seconds))
            question = self._write(person)
            for _ in range(self._chance.choice((0, 0, 0, self._chance.randint(1, MOST_FURTHER)))):
                question = self._write(person)
            if self._chance.random() < WAITING_SHARE:
                try:
                    async with asyncio.timeout(self._patience_seconds):
                        await question.answered.wait()
                except TimeoutError:
                    continue

    def _write(self, person: tuple[int, int]) -> Question:
        where, number = person
        platform = self._platforms[where]
        name = f"Q{where * PER_PLATFORM + number}n{len(self.questions)}"
        question = Question(name, platform.name, f"{name} {self._words()}", time.monotonic())
        self.questions[name] = question
        question.place = platform.write(number, question.text)
        return question

    def _words(self) -> str:
        if self._chance.random() < SHORT_SHARE:
            return "well?"
        animal, name = self._chance.choice(ANIMALS), self._chance.choice(NAMES)
        return f"my {animal} {self._chance.randrange(8)} is called {name}, by the way."

    def _note(self, effect: Seen) -> None:
        if not effect.is_whole:
            return
        for name in effect.names:
            question = self.questions[name]
            if question.answered_at is None:
                question.answered_at = effect.at_seconds
                question.answered.set()

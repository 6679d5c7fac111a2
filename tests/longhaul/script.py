"""This module generates a year of one person's messages from a seed: lengths, languages and pauses."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from tests.longhaul.facts import Fact, plant_fact
from tests.longhaul.texts import LANGUAGES, Writer
from tests.simulation.dice import dice

__all__ = ["UNDO", "Step", "write_script"]

YEAR_SECONDS = 365 * 24 * 3600.0

UNDO = "/compact undo"

GIANTS = range(100, 10**9, 250)
FACTS = range(10, 10**9, 20)
UNDOS = range(150, 10**9, 1_000)
"""Which steps are something special: at regular intervals, so that a short script has its share too."""

JOINED_SHARE = 0.02
PAUSE_SHARE = 0.15
"""Of messages: after so many of them the person does something else for hours."""


@dataclass(frozen=True, slots=True)
class Step:
    """Messages that are written at once, and what happens until the next."""

    texts: tuple[str, ...]
    think_seconds: float
    """How long after the reply the person writes again."""
    fact: Fact | None = None

    @property
    def is_command(self) -> bool:
        """Whether the model is not asked."""
        return self.texts[0].startswith("/")


def write_script(seed: int, turns: int, context_tokens: int, count: Callable[[str], int]) -> Iterator[Step]:
    """Yield so many steps, which fill a year; `count` counts tokens."""
    chance = dice(seed, "script")
    writer = Writer(dice(seed, "texts"))
    language, left = LANGUAGES[0], 40
    for number in range(turns):
        if not left:
            language, left = chance.choice(LANGUAGES), chance.randint(20, 120)
        left -= 1
        think_seconds = _think(chance, turns)
        now = language if chance.random() < 0.75 else chance.choice(LANGUAGES)
        if number in UNDOS:
            yield Step((UNDO,), think_seconds)
        elif number in GIANTS:
            tokens = int(context_tokens * (1.1 + chance.random() / 2))
            yield Step((writer.giant(now, tokens, count),), think_seconds)
        elif number in FACTS:
            fact, told = plant_fact(number)
            yield Step((f"{writer.chat(now, 2)} {told}",), think_seconds, fact)
        else:
            many = chance.randint(2, 3) if chance.random() < JOINED_SHARE else 1
            yield Step(tuple(_write(writer, chance, now) for _ in range(many)), think_seconds)


def _write(writer: Writer, chance: Random, language: str) -> str:
    kind = chance.random()
    if kind < 0.22:
        return writer.tiny(language)
    if kind < 0.90:
        return writer.chat(language, 5)
    return writer.paste(language, chance.randint(1_500, 7_000))


def _think(chance: Random, turns: int) -> float:
    if chance.random() < PAUSE_SHARE:
        return chance.uniform(0.2, 1.8) * YEAR_SECONDS / (turns * PAUSE_SHARE)
    return chance.uniform(5, 90)

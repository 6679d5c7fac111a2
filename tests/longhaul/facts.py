"""This module plants facts in a conversation that should be known for ever, with marks by which they are found."""

from __future__ import annotations

import re

__all__ = ["Fact", "find_facts", "plant_fact"]

Fact = str
"""What nobody could guess, and no other text holds."""

_WORDS = ("Birke", "Falcon", "Lotus", "Kupfer", "Meadow", "Saffron")

_TOLD = (
    "Please remember for later: the code of the cellar door is {fact}.",
    "Merk dir bitte: mein Fahrradschloss hat die Nummer {fact}.",
    "请记住：我的会员号是{fact}。",
    "🔑 = {fact} ‼️",
)

_FACT = re.compile(rf"(?:{'|'.join(_WORDS)})-\d{{5}}")


def plant_fact(number: int) -> tuple[Fact, str]:
    """Return the fact of this number, and what a person says to tell it."""
    fact = f"{_WORDS[number % len(_WORDS)]}-{number:05}"
    return fact, _TOLD[number % len(_TOLD)].format(fact=fact)


def find_facts(text: str) -> list[Fact]:
    """Return the facts in a text, each once, in the order in which they stand there last."""
    found = dict.fromkeys(reversed(_FACT.findall(text)))
    return list(reversed(found))

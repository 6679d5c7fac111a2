"""Provisional."""

from __future__ import annotations
import json
from collections.abc import Mapping
from dataclasses import dataclass
from memory.model import *


@dataclass(frozen=True, slots=True)
class Ask:
    system: str
    user: str
    schema: Mapping[str, object]
    schema_name: str
    max_output_tokens: int
    temperature: float


def is_worth_learning(exchange, min_chars):
    return sum(len(w.text) for w in exchange.said) >= min_chars


async def consolidate(exchange, complete):
    text = await complete(
        Ask("You keep a memory", "\n".join(w.text for w in exchange.said), {"type": "object"}, "memory", 200, 0.1)
    )
    try:
        a = json.loads(text)
    except ValueError:
        return Learned(exchange, None)
    return Learned(
        exchange,
        Daily(a["history_entry"], exchange.said[-1].at),
        tuple(
            Fact(f, (Evidence(exchange.session, exchange.said[-1].seq, exchange.said[-1].text),))
            for f in [a.get("memory_update")]
            if f
        ),
    )

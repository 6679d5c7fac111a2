"""This module is a loopback model for consolidation: it derives facts by rule from what the person wrote.

"my cat is called Tom" is a fact; all else is told in the history entry. It can be made to hang, to fail or to talk.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path
from typing import Any

from aiohttp import web

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).parents[2])

from tests.platforms.model_server import run_as_process
from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer, failure

__all__ = ["ClerkServer"]

_SAID = re.compile(r"What the person wrote[^\n]*:\n<<<\n(.*?)\n>>>", re.DOTALL)
_CALLED = re.compile(r"\bmy ([a-z]+(?: \d+)?) is called (\w+)", re.IGNORECASE)


class ClerkServer(OpenAIServer):
    """The server; `asked_of` are the words that it was asked about, in the order of asking."""

    def __init__(self, **options: Any) -> None:
        """Begin willing; the options are those of any model server."""
        super().__init__(**options)
        self.asked_of: list[str] = []
        self.gate: asyncio.Event | None = None
        """What each answer waits for, when half of it was said."""
        self.half_said = asyncio.Event()
        """Set when that was."""
        self.piece_characters: int | None = None
        """How much it says at once, with `piece_delay_seconds` between; without, two halves."""
        self.answer: str | None = None
        """What it says instead."""
        self.failures = 0
        """So many requests are refused, for good as it says, before it is willing again."""
        self.overloads = 0
        """So many are refused because of its load; whoever asks need not wait in between."""
        self.changed = asyncio.Event()
        """Set at each request, and when half of an answer was said."""

    def _default(self, asked: Asked) -> Behaviour:
        found = _SAID.search(asked.last_user_text)
        said = found[1] if found else ""
        self.asked_of.append(said)
        self.changed.set()
        return lambda call: self._tell(call, said)

    async def _tell(self, call: Call, said: str) -> web.StreamResponse:
        if self.failures:
            self.failures -= 1
            return failure(401, "Incorrect API key provided.")
        if self.overloads:
            self.overloads -= 1
            return failure(503, "The server is overloaded.", headers={"Retry-After": "0"})
        try:
            await call.open()
            text = _learnt(said) if self.answer is None else self.answer
            half = max(len(text) // 2, 1)
            await self._say(call, text[:half])
            self.half_said.set()
            self.changed.set()
            if self.gate is not None:
                await self.gate.wait()
            await self._say(call, text[half:] or " ")
            return await call.finish()
        except ConnectionError:
            return call.response

    async def _say(self, call: Call, text: str) -> None:
        size = self.piece_characters or len(text)
        for start in range(0, len(text), size):
            await asyncio.sleep(self.piece_delay_seconds if start else 0)
            await call.say(text[start : start + size])


def _learnt(said: str) -> str:
    facts: list[dict[str, Any]] = [
        {"fact": f"Has a {what} called {name}", "quote": f"my {what} is called {name}", "about": "", "importance": 0.6}
        for what, name in _CALLED.findall(said)
    ]
    return json.dumps({"history_entry": f"They told: {said[:150]}", "facts": facts})


if __name__ == "__main__":
    run_as_process(ClerkServer)

"""This module is the two loopback models: one names what it answers, one consolidates by rule; both can fail.

Thousands of prompts would fill this process's memory, so each is looked at when it comes.
"""

from __future__ import annotations

import asyncio
import random
import re

from aiohttp import web

from tests.load.crowd import END
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.model_server import reply
from tests.platforms.openai_behaviours import failing
from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer
from tests.soak.weather import HANG_SECONDS, Weather, late, model_faults

__all__ = ["NAME", "Answering", "Clerk"]

NAME = re.compile(r"\bQ(\d+)n\d+\b")
"""A question's name, with the number of who asks."""

RECALLED_END = "[End of what was recalled.]"
ABOUT = "What the person wrote"
WORDS = 4


class Answering(OpenAIServer):
    """Answers with the names of the questions, piece by piece."""

    def __init__(self, chance: random.Random, share: float, piece_seconds: float) -> None:
        """Let such a share of the requests go wrong; pause before each piece."""
        super().__init__()
        self.weather = Weather(chance, share, model_faults(late(HANG_SECONDS, self._say)))
        self.is_out = False
        """Whether nothing is answered: an outage."""
        self.count = 0
        self.mixed: list[str] = []
        """Prompts that hold words of several people."""
        self._piece_seconds = piece_seconds

    def _keep(self, asked: Asked) -> None:
        self.count += 1
        people = {name for message in asked.body.messages for name in NAME.findall(message.content)}
        if len(people) > 1:
            self.mixed.append(f"a prompt holds words of {sorted(people)}")

    def _default(self, asked: Asked) -> Behaviour:
        return failing(503) if self.is_out else self.weather.of("request") or self._say

    async def _say(self, call: Call) -> web.StreamResponse:
        number = self.count
        asked = call.asked.last_user_text.rpartition(RECALLED_END)[2]
        try:
            await call.open()
            await call.say(f"Answer {number} to {' and '.join(found[0] for found in NAME.finditer(asked))}: ")
            for count in range(WORDS):
                await asyncio.sleep(self._piece_seconds)
                await call.say(f"word {count}, ")
            await call.say(END)
            return await call.finish()
        except ConnectionError:
            return call.response  # who asked is gone


class Clerk(ClerkServer):
    """Learns, and makes summaries."""

    def __init__(self, chance: random.Random, share: float) -> None:
        """Let such a share of the requests go wrong."""
        super().__init__()
        self.weather = Weather(chance, share, model_faults(late(HANG_SECONDS, self._behave)))
        self.is_out = False
        self.count = 0

    def _keep(self, asked: Asked) -> None:
        self.count += 1

    def _default(self, asked: Asked) -> Behaviour:
        if self.is_out:
            return failing(503)
        return self.weather.of("request") or self._behave

    async def _behave(self, call: Call) -> web.StreamResponse:
        if ABOUT not in call.asked.last_user_text:
            return await reply("- They talked about animals and their names.")(call)
        try:
            return await super()._default(call.asked)(call)
        finally:
            self.asked_of.clear()

"""This module is a loopback model with long answers, a real vocabulary to count, and slow summaries.

That time is the simulated one: a summary is held back until enough of it has gone by. What is held back when a turn's
request comes in was not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from aiohttp import web

from tests.longhaul.prompts import Message
from tests.longhaul.summariser import summarise
from tests.longhaul.texts import LANGUAGES, Writer
from tests.longhaul.vocabulary import Vocabulary
from tests.platforms.openai_server import Asked, Behaviour, Call, OpenAIServer
from tests.simulation.dice import dice

__all__ = ["SYSTEM_PROMPT", "Clock", "Heard", "Model"]

SYSTEM_PROMPT = "You are the assistant of one person, and have been for years. Be brief, and be honest."

MOST_REPLY_TOKENS = 900
"""Less than a reply may have by default: it is never broken off."""


@dataclass(slots=True)
class Clock:
    """The time that a run simulates."""

    now: datetime = datetime(2026, 1, 1, 8, tzinfo=UTC)

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@dataclass(frozen=True, slots=True)
class Heard:
    """A request as it came in."""

    messages: tuple[Message, ...]
    tokens: int
    """What it costs, with the reply that it leaves room for."""
    is_summary: bool


@dataclass(frozen=True, slots=True)
class _Held:
    """A summary that is not told yet."""

    due: datetime
    told: asyncio.Event = field(default_factory=asyncio.Event)


class _CountedCall(Call):
    """One request being answered, with the counts of a real vocabulary."""

    def __init__(self, call: Call, input_tokens: int, output_tokens: int) -> None:
        assert isinstance(call.server, OpenAIServer)
        super().__init__(call.server, call.request, call.asked)
        self._counts = input_tokens, output_tokens

    def _usage(self) -> dict[str, object]:
        heard, said = self._counts
        return {"prompt_tokens": heard, "completion_tokens": said, "total_tokens": heard + said}


class Model(OpenAIServer):
    """The server; `heard` is told of each request before it is answered."""

    def __init__(self, vocabulary: Vocabulary, clock: Clock, summary_seconds: float, changed: asyncio.Event) -> None:
        """Take so long, by that clock, for each summary; set `changed` at each request, and when it is answered."""
        super().__init__()
        self.heard: Callable[[Heard], None] = lambda request: None
        self.count = 0
        """How many requests have come."""
        self.summaries = 0
        """How many of them were for summaries."""
        self.under_way = 0
        """How many of them are being answered."""
        self.may_reply = asyncio.Event()
        """Cleared while somebody is still writing."""
        self.may_reply.set()
        self._changed = changed
        self._vocabulary = vocabulary
        self._clock = clock
        self._summary_seconds = summary_seconds
        self._held: list[_Held] = []

    @property
    def is_holding(self) -> bool:
        """Tell whether a summary is held back."""
        return bool(self._held)

    @property
    def is_only_holding(self) -> bool:
        """Tell whether nothing else is under way."""
        return self.is_holding and self.under_way == len(self._held)

    def release(self, *, all_of_them: bool = False) -> bool:
        """Tell the summaries whose time has come; return whether there were any."""
        due = [held for held in self._held if all_of_them or held.due <= self._clock.now]
        for held in due:
            held.told.set()
            self._held.remove(held)
        return bool(due)

    def _keep(self, asked: Asked) -> None:
        self.requests = [asked]  # a year of them would not fit into memory

    def _default(self, asked: Asked) -> Behaviour:
        return self._speak

    async def _speak(self, call: Call) -> web.StreamResponse:
        body = call.asked.body
        messages = tuple((message.role, message.content) for message in body.messages)
        tokens = self._vocabulary.count_messages(text for _, text in messages)
        is_summary = not messages[0][1].startswith(SYSTEM_PROMPT)
        most = body.max_tokens or body.max_completion_tokens or 0
        self.count += 1
        self.summaries += is_summary
        self.under_way += 1
        try:
            self.heard(Heard(messages, tokens + most, is_summary))
            self._changed.set()
            if is_summary:
                await self._hold()
                text = summarise(messages[0][1], messages[-1][1])
            else:
                await self.may_reply.wait()
                text = self._reply(messages[-1][1])
            counted = _CountedCall(call, tokens, self._vocabulary.count(text))
            await counted.open()
            await counted.say(text)
            return await counted.finish()
        except ConnectionError:
            return call.response  # who asked is gone
        finally:
            self.under_way -= 1
            self._changed.set()

    async def _hold(self) -> None:
        held = _Held(self._clock.now + timedelta(seconds=self._summary_seconds))
        self._held.append(held)
        try:
            await held.told.wait()
        finally:
            if held in self._held:
                self._held.remove(held)

    def _reply(self, asked: str) -> str:
        """Return a reply, the same to the same."""
        chance = dice(len(asked), asked[-200:])
        writer, language, kind = Writer(chance), chance.choice(LANGUAGES), chance.random()
        if kind < 0.1:
            return writer.tiny(language)
        text = writer.chat(language, 4 if kind < 0.75 else 14)
        while self._vocabulary.count(text) > MOST_REPLY_TOKENS:
            text = text[: len(text) * 2 // 3]
        return text

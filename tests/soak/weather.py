"""This module causes random faults: single calls of each server, and storms in which everything fails.

A call that goes wrong takes one of the behaviours for its name; in calm weather none does.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from aiohttp import web

from tests.platforms import discord_behaviours, openai_behaviours, slack_behaviours, telegram_behaviours
from tests.platforms.discord_server import DELETE, EDIT, HISTORY, SEND, TYPING
from tests.platforms.discord_server import Behaviour as OnDiscord
from tests.platforms.openai_server import Behaviour as OfModel
from tests.platforms.openai_server import Call
from tests.platforms.slack_server import OPEN
from tests.platforms.slack_server import Behaviour as OnSlack
from tests.platforms.telegram_server import CONFIRM
from tests.platforms.telegram_server import Behaviour as OnTelegram

__all__ = ["Weather", "discord_faults", "late", "model_faults", "slack_faults", "telegram_faults"]

LATE_SECONDS = 1.5
HANG_SECONDS = 4.0
RETRY_AFTER_SECONDS = 2

B = TypeVar("B")

Faults = Mapping[str, Mapping[str, B]]
"""By the call's name, and by the fault's."""


class Weather(Generic[B]):
    """Decides for each call whether it goes wrong, and how."""

    def __init__(self, chance: random.Random, share: float, faults: Faults[B]) -> None:
        """Let such a share of the calls go wrong, once it is not calm any more."""
        self.is_calm = True
        self.counts: Counter[str] = Counter()
        """How often something went wrong, by the fault."""
        self._chance = chance
        self._share = share
        self._faults = faults

    def of(self, name: str) -> B | None:
        """Return what goes wrong with a call; None: nothing."""
        faults = self._faults.get(name)
        if self.is_calm or not faults or self._chance.random() >= self._share:
            return None
        fault = self._chance.choice(list(faults))
        self.counts[fault] += 1
        return faults[fault]


def telegram_faults() -> Faults[OnTelegram]:
    """Return what can go wrong on Telegram."""
    does = telegram_behaviours
    calls = {
        "429": does.too_many_requests(RETRY_AFTER_SECONDS),
        "5xx": does.failing(),
        "web page": does.html(),
        "dropped before": does.drop_before_effect(),
        "dropped after": does.drop_after_effect(),
        "late": does.delayed(LATE_SECONDS),
    }
    polls = {**calls, "malformed": does.malformed()}
    return {
        **dict.fromkeys(("sendMessage", "editMessageText", "deleteMessage", "sendChatAction"), calls),
        **dict.fromkeys(("getUpdates", CONFIRM), polls),
    }


def discord_faults() -> Faults[OnDiscord]:
    """Return what can go wrong on Discord."""
    does = discord_behaviours
    calls = {
        "429": does.too_many_requests(RETRY_AFTER_SECONDS),
        "5xx": does.failing(),
        "web page": does.html(),
        "dropped before": does.drop_before_effect(),
        "dropped after": does.drop_after_effect(),
        "late": does.delayed(LATE_SECONDS),
    }
    return dict.fromkeys((SEND, EDIT, DELETE, TYPING, HISTORY), calls)


def slack_faults() -> Faults[OnSlack]:
    """Return what can go wrong on Slack."""
    does = slack_behaviours
    calls = {
        "429": does.too_many_requests(RETRY_AFTER_SECONDS),
        "5xx": does.failing(),
        "web page": does.html(),
        "dropped before": does.drop_before_effect(),
        "dropped after": does.drop_after_effect(),
        "late": does.delayed(LATE_SECONDS),
    }
    methods = ("chat.postMessage", "chat.update", "chat.delete", "conversations.history", "conversations.replies")
    return dict.fromkeys((*methods, OPEN), calls)


def model_faults(hangs: OfModel) -> Faults[OfModel]:
    """Return what can go wrong with a model; `hangs` takes its time, and answers."""
    does = openai_behaviours
    return {
        "request": {
            "429": does.rate_limited("1"),
            "5xx": does.failing(),
            "overloaded": does.failing(503),
            "half a stream": does.cut(["Half ", "an answer"]),
            "stream without an end": does.cut(["Half ", "an answer"], abruptly=False),
            "error in a stream": does.error_in_stream(["Half ", "an"], {"message": "overloaded", "code": 503}),
            "malformed": does.malformed(),
            "web page": does.html(),
            "hanging": hangs,
        }
    }


def late(seconds: float, behave: Callable[[Call], Awaitable[web.StreamResponse]]) -> OfModel:
    """Say nothing for so long, and then do it."""

    async def behaves(call: Call) -> web.StreamResponse:
        await asyncio.sleep(seconds)
        return await behave(call)

    return behaves

"""This module enforces Telegram's rate limits on messages, with 429 for a bot that does not wait.

https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this
"""

from __future__ import annotations

import math
import time
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.platforms.botapi.answers import Refused


@dataclass(frozen=True, slots=True)
class Limits:
    """The rates, as far as they are published; a message that is edited counts as one that is sent."""

    chat_seconds: float = 1
    """Between two messages in one chat."""
    chat_burst: int = 1
    """So many may come at once after a pause as long as they would have taken; 1 is no burst at all."""
    group_per_minute: int = 20
    per_second: int = 30
    """Over all chats."""
    tolerance_seconds: float = 0.02
    """The network's jitter: messages that left in time may arrive this much closer together."""
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, slots=True)
class Violation:
    """A call that did not wait as long as it had been told."""

    scope: str
    early_seconds: float


class Governor:
    """Holds the bot to the rates."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nothing sent."""
        self.limits = limits
        self.violations: list[Violation] = []
        self._sent: dict[str, deque[float]] = defaultdict(deque)
        self._closed_until: dict[str, float] = {}
        self._told: dict[str, int] = {}

    def admit(self, chat: str) -> None:
        """Let a message to a chat pass, or raise Refused: too many requests."""
        now = self.limits.clock()
        scopes = self._scopes(chat)
        waits = {scope: max(self._closed(scope, now), self._wait(scope, now)) for scope in scopes}
        for scope, wait in waits.items():
            if wait > 0:
                self._close(scope, math.ceil(wait), now)
        if longest := max(math.ceil(wait) for wait in waits.values()):
            raise too_many(longest)
        for scope in scopes:
            self._sent[scope].append(now)

    def close(self, chat: str, retry_after: int) -> None:
        """Admit nothing to a chat for so many seconds."""
        self._close(f"chat {chat}", retry_after, self.limits.clock())

    def _scopes(self, chat: str) -> list[str]:
        return [f"chat {chat}", *([] if chat.isdigit() else [f"group {chat}"]), "all"]

    def _closed(self, scope: str, now: float) -> float:
        """Return how long a scope stays closed; who comes too early waits anew, on top of it."""
        left = self._closed_until.get(scope, now) - now
        if left <= 0:
            return 0
        self.violations.append(Violation(scope, left))
        return left + self._told[scope]

    def _close(self, scope: str, seconds: int, now: float) -> None:
        if self._closed_until.get(scope, now) <= now:
            self._told[scope] = seconds
        self._closed_until[scope] = now + seconds

    def _wait(self, scope: str, now: float) -> float:
        """Return how long it takes until one more is within the rate."""
        most, span = self._rate(scope)
        sent = self._sent[scope]
        while sent and sent[0] <= now - span + self.limits.tolerance_seconds:
            sent.popleft()
        return 0 if len(sent) < most else sent[-most] + span - now

    def _rate(self, scope: str) -> tuple[int, float]:
        """Return how many may come within how many seconds."""
        match scope.split()[0]:
            case "chat":
                return self.limits.chat_burst, self.limits.chat_burst * self.limits.chat_seconds
            case "group":
                return self.limits.group_per_minute, 60
            case _:
                return self.limits.per_second, 1


def too_many(retry_after: int) -> Refused:
    """Return the refusal that says how long to wait."""
    return Refused(429, f"Too Many Requests: retry after {retry_after}", retry_after)

"""This module computes when a message could have been shown at the earliest, by Telegram's rate limits."""

from __future__ import annotations

from collections.abc import Sequence

from tests.platforms.botapi.history import Effect
from tests.platforms.botapi.limits import Limits

BY_BOT = frozenset({"sendMessage", "editMessageText"})
"""What counts against the rates."""


def late_seconds(chat: int, said_at: float, until: float, effects: Sequence[Effect], limits: Limits) -> float:
    """Return how much later than the rates allowed a chat showed its last, of which the model had said all by then.

    `until`: when that is sought, before anything else is shown in the chat. What was shown already is not late.
    """
    shown = [effect for effect in effects if effect.method in BY_BOT and effect.at_seconds <= until]
    own = [effect.at_seconds for effect in shown if effect.chat == chat]
    last = own.pop()
    before = [effect.at_seconds for effect in shown if effect.at_seconds < last]
    burst, minute, common = limits.chat_burst, limits.group_per_minute, limits.per_second
    allowed = [said_at]
    if len(own) >= burst:
        allowed.append(own[-burst] + burst * limits.chat_seconds)
    if chat < 0 and len(own) >= minute:
        allowed.append(own[-minute] + 60)
    if len(before) >= common:
        allowed.append(before[-common] + 1)
    return max(last - max(allowed), 0.0)

"""Decides whether an incoming message is accepted, refused, or dropped as too fast; a pure function without effects."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from agentd.admission.rate_limit import RateVerdict
from channels.base import FromPerson, InboundMessage

__all__ = ["Verdict", "decide"]

_STOP = re.compile(r"/stop(?:@\w+)?(?:\s.*)?", re.IGNORECASE | re.DOTALL)


class Verdict(Enum):
    """What to do with an incoming message."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    """Its author may not talk; nothing is said about it."""
    OFFER = "offer"
    """Its author may not talk, and is shown a code that the operator can approve (pairing)."""
    WARN = "warn"
    """It exceeds the rate limit, and its author is told."""
    DROP = "drop"
    """It exceeds the rate limit, and its author was told already."""


_BY_RATE = {RateVerdict.ADMIT: Verdict.ACCEPT, RateVerdict.WARN: Verdict.WARN, RateVerdict.DROP: Verdict.DROP}


def decide(
    inbound: FromPerson, *, is_allowed: bool, offers_codes: bool, judge: Callable[[InboundMessage], RateVerdict]
) -> Verdict:
    """Return the verdict; `judge` is asked only about a message that counts towards the rate limit.

    `/stop` does not count: somebody must be able to stop what runs away. Neither do edits and deletions, each of which
    changes one accepted message.
    """
    if not is_allowed:
        asks = isinstance(inbound, InboundMessage) and inbound.is_direct and offers_codes
        return Verdict.OFFER if asks else Verdict.REFUSE
    if not isinstance(inbound, InboundMessage) or _STOP.fullmatch(inbound.text.strip()):
        return Verdict.ACCEPT
    return _BY_RATE[judge(inbound)]

"""What is done with what comes in: the decision, without any effect of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum

from agentd.admission.rate_limit import RateVerdict
from channels.base import FromPerson, InboundMessage

__all__ = ["Verdict", "decide"]

_STOP = re.compile(r"/stop(?:@\w+)?(?:\s.*)?", re.IGNORECASE | re.DOTALL)


class Verdict(Enum):
    """What is done with it."""

    ACCEPT = "accept"
    REFUSE = "refuse"
    """Its author may not talk, and nothing is said about it."""
    OFFER = "offer"
    """Its author may not talk, and is shown a code that the operator can approve."""
    WARN = "warn"
    """It is too much, and its author is told."""
    DROP = "drop"
    """It is too much, and its author was told."""


_BY_RATE = {RateVerdict.ADMIT: Verdict.ACCEPT, RateVerdict.WARN: Verdict.WARN, RateVerdict.DROP: Verdict.DROP}


def decide(
    inbound: FromPerson, *, is_allowed: bool, offers_codes: bool, judge: Callable[[InboundMessage], RateVerdict]
) -> Verdict:
    """Decide; `judge` is asked only for a message that counts.

    `/stop` does not: somebody must be able to end what runs away. Nor do edits and deletions, each of which changes
    one message that was taken.
    """
    if not is_allowed:
        asks = isinstance(inbound, InboundMessage) and inbound.is_direct and offers_codes
        return Verdict.OFFER if asks else Verdict.REFUSE
    if not isinstance(inbound, InboundMessage) or _STOP.fullmatch(inbound.text.strip()):
        return Verdict.ACCEPT
    return _BY_RATE[judge(inbound)]

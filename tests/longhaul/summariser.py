"""This module is a fake summarising model: it keeps the planted facts, the newest first, within the length asked.

Like real ones it does not always heed the length.
"""

from __future__ import annotations

import hashlib
import re
from itertools import accumulate, takewhile

from tests.longhaul.facts import find_facts

__all__ = ["summarise"]

USUAL_CHARACTERS = 1_800

LONG_WINDED = 3_500
"""How many characters the answer has that does not heed the length, which is one in three of those to long material."""

_ASKED_LENGTH = re.compile(r"(\d[\d,]*) characters")


def summarise(order: str, material: str) -> str:
    """Return a summary of the material, the same for the same."""
    asked = _ASKED_LENGTH.search(order)
    digest = hashlib.sha256(material.encode()).hexdigest()
    summary = f"- record {digest[:8]}\n- keep:"
    room = (int(asked[1].replace(",", "")) if asked else USUAL_CHARACTERS) - len(summary)
    facts = find_facts(material)
    fitting = takewhile(lambda used: used <= room, accumulate(len(fact) + 1 for fact in reversed(facts)))
    kept = facts[len(facts) - len(list(fitting)) :]
    summary = " ".join([summary, *kept])
    if int(digest[:2], 16) % 3 == 0 and len(material) > 2 * LONG_WINDED:
        summary += "\n- and so on and so forth" * (LONG_WINDED // 24)
    return summary

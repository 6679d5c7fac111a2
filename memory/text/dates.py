"""This module writes a date in words, and recognises texts that speak of a time, ask for one, or are questions."""

from __future__ import annotations

import re
from datetime import UTC, datetime

__all__ = ["asks_when", "date_words", "is_question", "speaks_of_time"]

_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip

_TIME = re.compile(
    r"\b(yesterday|today|tomorrow|tonight|ago|last|next|weeks?|months?|years?|weekend|days?|morning|recently|since|"
    r"(mon|tues|wednes|thurs|fri|satur|sun)day|"
    + "|".join(month.lower() for month in _MONTHS)
    + r"|昨天|今天|明天|去年|今年|明年|昨日|今日|明日|어제|오늘|내일)\b",
    re.IGNORECASE,
)
_WHEN = re.compile(
    r"\W*(when|how long|since when|(in )?(which|what) (day|month|year|date|week))\b|.*(什么时候|几时|何时|いつ|언제)",
    re.IGNORECASE,
)
_QUESTION_MARKS = ("?", "？", "؟")


def date_words(moment: datetime) -> str:
    """Return the date as people ask for it, in words that do not depend on the machine's language."""
    utc = moment.astimezone(UTC)
    return f"{utc.day} {_MONTHS[utc.month - 1]} {utc.year}"


def speaks_of_time(text: str) -> bool:
    """Tell whether a text has a word for a time."""
    return bool(_TIME.search(text))


def asks_when(question: str) -> bool:
    """Tell whether a question asks for a time."""
    return bool(_WHEN.match(question))


def is_question(text: str) -> bool:
    """Tell whether a text ends with a question mark."""
    return text.rstrip(" \t\n\"'”’)").endswith(_QUESTION_MARKS)

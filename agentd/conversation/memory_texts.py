"""The answers to `/memory`, `/remember` and `/forget`, with people's words shown as harmless plain text.

An answer is built as rich text here, never parsed as Markdown: an entry's text can neither imitate a part of the answer
nor mention (notify) anybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from agentd.transcript.key import SessionKey, parse_file_name
from channels.markup.characters import harmless, is_joined
from channels.markup.rich import RichText, Span, plain
from memory.model import MOST_FACT_CHARS, Deed, Kind, Memory, Recalled

__all__ = [
    "FORGET_USAGE",
    "MEMORY_OFF",
    "MEMORY_USAGE",
    "NOTHING_FOUND",
    "REMEMBER_USAGE",
    "absent_text",
    "fault_text",
    "forgotten_text",
    "found_text",
    "kept_text",
    "page_text",
    "show_words",
    "too_long_text",
    "too_many_text",
    "why_text",
]

MEMORY_OFF = "I remember nothing beyond this conversation: memory.enabled is false."
MEMORY_USAGE = (
    "/memory lists what I know of you, and /memory 2 goes on. /memory why 4 says where entry 4 comes from, "
    "/memory search WORDS what I would recall for these words."
)
REMEMBER_USAGE = "Write what I shall remember behind it: /remember I am allergic to peanuts."
FORGET_USAGE = "/forget takes the numbers of entries, such as /forget 4 7: /memory and /memory search WORDS show them."
NOTHING_FOUND = "I would recall nothing for that."
STILL_WRITTEN = (
    "What you wrote stays in the conversation's file, and may be in its summary: /new goes on without both; whoever "
    "runs me can remove it for good, with agentd people erase."
)
IN_COMPANY = "What you told me in private is not shown here, where others can read."

LINE_CHARS = 200
"""How much of an entry a list shows; `/memory why` shows all of it."""

_STEERING = re.compile("[\u202a-\u202e\u2066-\u2069]")
"""Unicode controls that change the direction of the writing after them."""

_MENTION = re.compile(r"(?<!\w)@(?=\w)")
_JOINER = "\u2060"
"""An invisible character: after an @, it keeps platforms from reading a name as a mention."""


def show_words(text: str, most: int = MOST_FACT_CHARS) -> str:
    """Return text of a person or a model as one line without control characters, mentions and layout."""
    line = _STEERING.sub("", " ".join(harmless(text).split()))
    if len(line) > most:
        end = most - 1
        while is_joined(line, end):
            end -= 1
        line = f"{line[:end].rstrip()}…"
    return _MENTION.sub(f"@{_JOINER}", line)


def page_text(page: Sequence[Memory], number: int, *, is_last: bool, direct: bool) -> RichText:
    """List a page of entries, facts first."""
    if not page:
        said = f"Page {number} is empty: there is no more." if number > 1 else "I know nothing of you yet."
        return plain(said if direct else f"{said} {IN_COMPANY}")
    facts = [_listed(entry) for entry in page if entry.kind is Kind.CORE]
    days = [_listed(entry) for entry in page if entry.kind is Kind.DAILY]
    more = "" if is_last else f"/memory {number + 1} goes on. "
    behind = f"{more}/memory why {page[0].id} says where that comes from, /forget {page[0].id} removes it."
    return _paragraphs(
        _block("What I know of you", facts),
        _block("What happened", days),
        plain(behind if direct else f"{behind} {IN_COMPANY}"),
    )


def _listed(entry: Memory) -> str:
    day = f"{_day(entry.happened)}: " if entry.kind is Kind.DAILY else ""
    gone = ""
    if entry.superseded_at is not None:
        gone = f" (no longer: {_number(entry.superseded_by) or f'since {_day(entry.superseded_at)}'})"
    return f"{_number(entry.id)} {day}{show_words(entry.text, LINE_CHARS)}{gone}"


def found_text(found: Sequence[Recalled]) -> RichText:
    """List the entries that a question recalls, best first."""
    if not found:
        return plain(NOTHING_FOUND)
    lines = [
        f"{_number(entry.id)} {_day(entry.happened) + ': ' if entry.kind is Kind.DAILY else ''}{show_words(entry.text)}"
        for entry in found
    ]
    return _block("I would recall, best first", lines)


def why_text(entry: Memory, replaced: Iterable[Memory], here: SessionKey, *, direct: bool) -> RichText:
    """Say where an entry comes from, which entries it replaced, and which one replaced it."""
    what = "A fact" if entry.kind is Kind.CORE else f"What happened on {_day(entry.happened)}"
    where = _place(entry.session, here, names_it=direct)
    lines = [
        f"{what}, written down on {_minute(entry.created)}, from {where}, {_messages(entry.first, entry.last)}, "
        f"{'in private' if entry.direct else 'where others could read'}."
    ]
    if entry.evidence:
        lines.append(f"It stands on your words, the last of {_minute(entry.happened)}:")
    for given in entry.evidence:
        there = "" if given.session == entry.session else f" in {_place(given.session, here, names_it=direct)}"
        lines.append(f"• message {given.seq}{there}: “{show_words(given.quote)}”")
    lines += [f"It took the place of {_number(old.id)}: “{show_words(old.text, LINE_CHARS)}”" for old in replaced]
    if entry.superseded_at is not None:
        by = f": {_number(entry.superseded_by)} took its place" if entry.superseded_by else ""
        lines.append(f"It holds no longer, since {_minute(entry.superseded_at)}{by}.")
    return _block(f"{_number(entry.id)} {show_words(entry.text)}", lines)


def kept_text(deed: Deed, entry: Memory) -> RichText:
    """Say what became of a fact that a person asked to keep."""
    told = f"{_number(entry.id)}: “{show_words(entry.text)}”"
    old = ", ".join(map(_number, entry.replaced))
    match deed:
        case Deed.KNOWN:
            return plain(f"I know that, as {told}.")
        case Deed.REFINED:
            return plain(f"I remember that, as {told}. It says more than {old}, and stands in its place.")
        case Deed.SUPERSEDED:
            return plain(f"I remember that, as {told}. It takes the place of {old}, which holds no longer.")
        case _:
            return plain(f"I remember that, as {told}.")


def forgotten_text(gone: Sequence[int], absent: Sequence[int], left: Sequence[int]) -> RichText:
    """Say which entries are gone, which did not exist, and which remain that the removed ones had replaced."""
    lines = []
    if gone:
        lines.append(f"I have forgotten {_numbers(gone)}.")
    if absent:
        lines.append(f"{absent_text(absent)}")
    if left:
        several = " ".join(map(str, left))
        lines.append(f"{_numbers(left)}, in whose place that stood, I still keep as no longer true: /forget {several}")
    return plain("\n".join([*lines, STILL_WRITTEN]))


def absent_text(numbers: Sequence[int]) -> str:
    """Say that this person has no such entries here, without revealing whether others have."""
    return f"Of you there is nothing here under {_numbers(numbers)}: it is forgotten already, or never was."


def too_long_text(length: int) -> str:
    """Say that a text is too long to be a memory."""
    return f"That has {length} characters, and a memory takes {MOST_FACT_CHARS}: say it shorter, or in parts."


def too_many_text(most: int) -> str:
    """Say how many entries can be forgotten at once."""
    return f"{most} entries at a time, please: I have forgotten none."


def fault_text(fault: str) -> str:
    """Say that memory cannot be used now."""
    return f"My memory cannot be used now, and nothing in it has changed: {fault.rstrip('.')}. Try again later."


def _paragraphs(*parts: RichText) -> RichText:
    whole = plain("")
    for part in parts:
        if part.text:
            whole = whole + plain("\n\n" if whole.text else "") + part
    return whole


def _block(heading: str, lines: Sequence[str]) -> RichText:
    """Return lines below a heading; nothing where there are none."""
    if not lines:
        return plain("")
    return RichText(heading, (Span(0, len(heading), "bold"),)) + plain("\n" + "\n".join(lines))


def _place(session: str, here: SessionKey, *, names_it: bool) -> str:
    """Name a conversation; where others can read, not which one: its name holds the ids of people and groups."""
    if session == here.file_name:
        return "this conversation"
    key = parse_file_name(session)
    where = f"another conversation{f' on {key.channel}' if key else ''}"
    return f"{where} ({show_words(session)})" if names_it else where


def _messages(first: int, last: int) -> str:
    return f"message {first}" if first == last else f"messages {first} to {last}"


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(_number, numbers))


def _number(entry: int | None) -> str:
    return "" if entry is None else f"#{entry}"


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"

"""Obeys `/memory`, `/remember` and `/forget`: lists what is known of a person, keeps a fact, removes entries.

People reach their own entries only, and where others can read, only those not learnt in private. A command that a crash
cut is obeyed again; its answer is still true then.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import structlog

from agentd.conversation.memory_texts import (
    FORGET_USAGE,
    MEMORY_OFF,
    MEMORY_USAGE,
    REMEMBER_USAGE,
    absent_text,
    fault_text,
    forgotten_text,
    found_text,
    kept_text,
    page_text,
    too_long_text,
    too_many_text,
    why_text,
)
from agentd.conversation.remembrance import Remembrance, author_id
from agentd.conversation.wiring import Wiring
from agentd.transcript.clock import parse_time
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Command
from agentd.transcript.store import Session
from channels.markup.characters import is_blank
from channels.markup.rich import RichText, plain
from memory.errors import MemoryFault
from memory.model import MOST_FACT_CHARS, Deed, Evidence, Exchange, Fact, Lesson, Memory, Reserve, Who, Words
from memory.ports import MemoryLooking

__all__ = ["obey_memory"]

PAGE_ENTRIES = 10
"""Entries per page: what a phone shows without much scrolling."""

STEP_ENTRIES = 500
"""How many entries are read at once to skip to a later page."""

MOST_FORGOTTEN = 20
"""Most entries per `/forget`: each is purged from the index and the file's free pages separately, which takes time."""

ASKED_FOR_IMPORTANCE = 0.9
"""Importance of a fact that a person asked to keep; facts learnt unasked have 0.5."""

_NUMBER = re.compile(r"#?([0-9]{1,18})")
"""An entry's number; 18 digits fit into every database's id."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Asked:
    """A memory command, who gave it, and what they may see in that chat."""

    command: Command
    key: SessionKey
    memory: Remembrance
    who: Who


async def obey_memory(command: Command, wiring: Wiring, session: Session) -> RichText:
    """Act on `/memory`, `/remember` or `/forget`, and return the answer."""
    memory = wiring.memory
    if memory is None:
        return plain(MEMORY_OFF)
    asked = _Asked(command, session.key, memory, memory.who(session.key, command.source))
    try:
        match command.name:
            case "remember":
                return await _remember(asked, wiring, session)
            case "forget":
                return await _forget(asked)
            case _:
                return await _look(asked)
    except MemoryFault as fault:
        log.error("memory_not_usable", session=session.key.file_name, command=command.name, fault=str(fault))
        return plain(fault_text(str(fault)))


async def _look(asked: _Asked) -> RichText:
    word, _, rest = asked.command.args.partition(" ")
    rest = rest.strip()
    number = _NUMBER.fullmatch(rest if word.lower() == "why" else word or "1")
    match word.lower():
        case "search" if not is_blank(rest):
            return found_text(await asked.memory.store.recall(asked.who, rest, _reserve(asked.memory)))
        case "why" if number:
            return await _why(asked, int(number[1]))
        case _ if number and not rest and int(number[1]) > 0:
            return await _page(asked, int(number[1]))
        case _:
            return plain(MEMORY_USAGE)


def _reserve(memory: Remembrance) -> Reserve:
    limits = memory.settings
    return Reserve(limits.recall_entries, limits.recall_entry_chars, limits.recall_total_chars)


async def _page(asked: _Asked, number: int) -> RichText:
    store, before, passed = asked.memory.store, None, (number - 1) * PAGE_ENTRIES
    while passed > 0:
        skipped = await store.listed(asked.who, before, min(passed, STEP_ENTRIES))
        if not skipped:
            return page_text((), number, is_last=True, direct=asked.who.direct)
        before, passed = skipped[-1].id, passed - len(skipped)
    found = await store.listed(asked.who, before, PAGE_ENTRIES + 1)
    is_last = len(found) <= PAGE_ENTRIES
    return page_text(found[:PAGE_ENTRIES], number, is_last=is_last, direct=asked.who.direct)


async def _why(asked: _Asked, number: int) -> RichText:
    entry = await asked.memory.store.why(asked.who, number)
    if entry is None:
        return plain(absent_text([number]))
    replaced = await _seen(asked.memory.store, asked.who, entry.replaced)
    return why_text(entry, replaced, asked.key, direct=asked.who.direct)


async def _seen(store: MemoryLooking, who: Who, numbers: Sequence[int]) -> list[Memory]:
    found = [await store.why(who, number) for number in numbers]
    return [entry for entry in found if entry is not None]


async def _remember(asked: _Asked, wiring: Wiring, session: Session) -> RichText:
    """Keep the command's own words as a fact; they are their own evidence, since the person said them."""
    text = " ".join(asked.command.args.split())
    if is_blank(text):
        return plain(REMEMBER_USAGE)
    if len(text) > MOST_FACT_CHARS:
        return plain(too_long_text(len(text)))
    learnt = await asked.memory.store.learn(_build_lesson(asked, wiring, session, text))
    [change] = learnt.changes
    log.info("fact_kept", session=asked.key.file_name, deed=change.deed, entry=change.entry)
    await asked.memory.embed()
    entry = None if change.entry is None else await asked.memory.store.why(_keeper(asked), change.entry)
    if entry is None:  # forgotten in this very moment
        return plain(REMEMBER_USAGE if change.deed is Deed.UNFOUNDED else absent_text([change.entry or 0]))
    return kept_text(change.deed, entry)


def _build_lesson(asked: _Asked, wiring: Wiring, session: Session, text: str) -> Lesson:
    command, name = asked.command, asked.key.file_name
    author = command.source.author
    said = Words(command.seq, parse_time(command.source.sent_at) or wiring.clock(), text)
    exchange = Exchange(
        session=name,
        first=command.seq,
        last=command.seq,
        person=author_id(asked.key, command.source),
        name=author.name or author.id,
        direct=_keeper(asked).direct,
        said=(said,),
        began=session.view.began,
    )
    fact = Fact(text, (Evidence(name, command.seq, text),), importance=ASKED_FOR_IMPORTANCE)
    return Lesson(exchange, None, (fact,), is_range=False)


def _keeper(asked: _Asked) -> Who:
    """Return for whom the fact is kept: as private, unless the chat is on record as one where others can read."""
    return Who(asked.who.senders, direct=asked.command.source.direct is not False)


async def _forget(asked: _Asked) -> RichText:
    words = asked.command.args.replace(",", " ").split()
    numbers = [int(found[1]) for found in map(_NUMBER.fullmatch, words) if found]
    if not numbers or len(numbers) < len(words):
        return plain(FORGET_USAGE)
    wanted = tuple(dict.fromkeys(numbers))
    if len(wanted) > MOST_FORGOTTEN:
        return plain(too_many_text(MOST_FORGOTTEN))
    store, gone, left = asked.memory.store, list[int](), list[int]()
    for number in wanted:
        entry = await store.why(asked.who, number)
        if entry is not None and await store.forget(asked.who, number):
            gone.append(number)
            left += entry.replaced
    log.info("entries_forgotten", session=asked.key.file_name, count=len(gone))
    absent = [number for number in wanted if number not in gone]
    return forgotten_text(gone, absent, [number for number in left if number not in gone])

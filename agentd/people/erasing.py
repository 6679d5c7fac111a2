"""Erases a person from every store, in an order that lets nothing come back.

1. The person's new messages wait outside. Each session in turn is put to rest: its turn is cut, nothing comes in, and
nothing is queued. Meanwhile its tasks are removed, which hold words and would write into memory, then its records, then
its tasks once more, in case something outside the session queued one.

2. Memory is erased after all tasks: no consolidation is left that could write into it.

3. `state.db` is erased after memory, and the links last: until then they tell who the person is, so that an interrupted
erasure is finished by doing it again.

4. All files are searched for what is left, before the person is heard again.

Each step is complete on disk or not done. Doing all of it twice has the effect of once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import msgspec
import structlog

from agentd.errors import AgentdError
from agentd.people.searching import Left, Sought, search
from agentd.people.stores import Ids, Stores, ids_of
from agentd.state.erasure import Traces, erase_traces
from agentd.tasks.exchanges import CONSOLIDATE, order_for, parse_exchange
from agentd.tasks.queue import Args, Spare, spare_none
from agentd.transcript.clock import Clock, format_time
from agentd.transcript.erasing import Stamp
from agentd.transcript.erasure import ErasedFile, erase_file, erase_orphans, find_theirs
from agentd.transcript.key import SessionKey, parse_file_name
from agentd.transcript.repair import right_path

__all__ = ["erase_person"]

TOKEN_BYTES = 8

Say = Callable[[str], Awaitable[None]]
"""Sends a line to whoever asked."""

log = structlog.get_logger()


@dataclass(slots=True)
class _Erasing:
    """One erasure: the person, the stores, and what was found so far, which the later steps need."""

    senders: frozenset[str]
    ids: Ids
    stores: Stores
    clock: Clock
    say: Say
    texts: set[str] = field(default_factory=set)
    learnt: set[str] = field(default_factory=set)
    chats: set[tuple[str, str, str]] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    tasks: int = 0


async def erase_person(person: str, stores: Stores, clock: Clock, say: Say) -> int:
    """Erase a person, known by any of their ids, and report each step; return 1 if something is left.

    Raises AgentdError, OSError, NotAccepted and MemoryFault; doing it again then does the rest.
    """
    senders = stores.state.people.senders_of(person)
    work = _Erasing(senders, ids_of(senders), stores, clock, say)
    log.info("erasure_begun", senders=len(senders))
    async with stores.sessions.unheard(senders):
        for path, key in await asyncio.to_thread(lambda: list(find_theirs(stores.folder, work.ids))):
            await _erase_session(path, key, work)
        for name in await stores.sessions.exclusive((), partial(erase_orphans, stores.folder, work.ids)):
            await say(f"{name}: removed as a whole")
        await _erase_lost_tasks(work)
        remaining = await _erase_memory(work)
        await _erase_state(work)
        sought = Sought(senders, frozenset(work.texts), frozenset(work.learnt))
        left = await asyncio.to_thread(search, stores.workspace, sought)
    log.info("erasure_ended", remaining=len(left.remaining) + len(remaining))
    return await _report(left, remaining, say)


async def _erase_session(path: Path, key: SessionKey, work: _Erasing) -> None:
    stamp = Stamp(secrets.token_hex(TOKEN_BYTES), format_time(work.clock()))
    names = {path.stem, key.file_name}
    sessions, theirs = work.stores.sessions, work.ids.get(key.channel, frozenset())
    others = partial(_others, work.senders)
    async with sessions.resting(parse_file_name(path.stem) or key, theirs):
        await _erase_tasks(names, work, others)
        try:
            right = await asyncio.to_thread(right_path, path)
            erased = await sessions.exclusive({path, right}, partial(erase_file, path, work.ids, stamp))
        except FileNotFoundError:
            return  # it was renamed since it was found
        await _erase_tasks(names, work, others)
    work.texts |= erased.texts
    if erased.is_whole:
        work.files |= {path.name, f"{key.file_name}.jsonl"}
        now = parse_file_name(erased.path.stem)
        if now is not None and now.chat != key.chat:
            work.chats.add((key.channel, key.account, key.chat))
    await _say_erased(path, erased, work.say)


async def _say_erased(path: Path, erased: ErasedFile, say: Say) -> None:
    if erased.records:
        what = "all of the person's alone; it has another name now" if erased.is_whole else "others' stay as they are"
        await say(f"{path.stem}: {erased.records} records erased, {what}")
    for name in erased.removed:
        await say(f"{name}: removed as a whole")


async def _erase_lost_tasks(work: _Erasing) -> None:
    """Remove tasks that are left for the person's sessions without a file."""
    queue = work.stores.queue
    keys = [parse_file_name(entry.session or "") for entry in await queue.entries()] if queue else []
    await _erase_tasks({key.file_name for key in keys if key is not None and _is_theirs(key, work.ids)}, work)


def _is_theirs(key: SessionKey, ids: Ids) -> bool:
    theirs = ids.get(key.channel, frozenset())
    return key.sender in theirs or (key.sender is None and key.chat in theirs)


async def _erase_tasks(sessions: Collection[str], work: _Erasing, spare: Spare = spare_none) -> None:
    """Remove the tasks of these sessions. Raises AgentdError if one does not end."""
    queue = work.stores.queue
    if queue is None:
        return
    known = {entry.session for entry in await queue.entries()}
    for session in [session for session in sessions if session in known]:
        cleared = await queue.erase(session, spare)
        if cleared.left:
            raise AgentdError("a background task of theirs does not end: memory is not erased yet; run this again")
        work.tasks += cleared.removed


def _others(senders: frozenset[str], task: str, args: Args) -> Args | None:
    """Return what is kept of another person's task: their own words, without the answer, which may have been
    for both.
    """
    try:
        exchange = parse_exchange(args) if task == CONSOLIDATE else None
    except msgspec.ValidationError:
        return None
    if exchange is None or exchange.person in senders:
        return None
    return order_for(replace(exchange, answered="")).args if exchange.answered else args


async def _erase_memory(work: _Erasing) -> tuple[str, ...]:
    if work.stores.queue is not None:
        await work.say(f"tasks: {work.tasks} erased")
    memory = work.stores.memory
    if memory is None:
        return ()
    for entry in await memory.export(work.senders):
        work.learnt |= {entry.text, *(given.quote for given in entry.evidence)}
    erased = await memory.erase(work.senders)
    await work.say(f"memory: {erased.entries} entries erased, and {erased.evidence} pieces of evidence")
    return erased.remaining


async def _erase_state(work: _Erasing) -> None:
    stores = work.stores
    stores.forget_spending(work.senders)
    stores.sessions.forget_found(work.files)
    rows = await erase_traces(stores.state, Traces(work.senders, frozenset(work.chats), frozenset(work.files)))
    await work.say(f"state.db: {rows} rows removed (approval, codes, usage, links)")


async def _report(left: Left, remaining: tuple[str, ...], say: Say) -> int:
    for line in (*left.remaining, *remaining):
        await say(f"remains: {line}")
    if left.shared:
        await say(f"texts that others wrote or were told too, and that stay there: {left.shared}")
    if left.remaining or remaining:
        await say("Not everything is gone: see above, and run this again once that is removed.")
        return 1
    await say(f"Nothing of the person is left: {left.files} files searched.")
    return 0

"""The part of `agentd trace` that no record tells: what memory did with a message, and why it has no reply yet."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import datetime

import msgspec

from agentd.cli.sessions_files import alone_in, plain_faults
from agentd.cli.trace_find import Found
from agentd.errors import AgentdError
from agentd.service.control_client import LOOK_SECONDS, ask_daemon
from agentd.settings import Settings
from agentd.tasks.fate import Asked, Fate, fate_of
from agentd.tasks.opening import locate, open_queue
from agentd.transcript.clock import parse_time, utc_now
from agentd.transcript.records import UserMessage
from agentd.transcript.way import Hop, Way
from memory.errors import MemoryFault
from memory.opening import open_memory

__all__ = ["Looked", "last_hops", "look_up"]


class Looked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found out apart from the session's file."""

    fate: Fate = Fate()
    runs: bool = False
    """Whether a daemon holds the workspace."""
    fault: str = ""
    """Why memory, or the daemon, could not be asked."""


def look_up(settings: Settings, found: Found) -> Looked:
    """Ask the daemon that holds the workspace; if none does, look into memory and the queue here."""
    asked = _asked(found)
    with plain_faults(), alone_in(settings.workspace) as busy:
        try:
            if busy is None:
                return Looked(fate=asyncio.run(_alone(settings, asked)))
            lines: list[str] = []
            request = {"command": "trace", **msgspec.to_builtins(asked)}
            if ask_daemon(settings.workspace, request, lines.append, patience_seconds=LOOK_SECONDS) is None:
                return Looked(runs=True, fault=str(busy))
            return Looked(fate=msgspec.convert(json.loads(lines[0]), Fate), runs=True)
        except (AgentdError, MemoryFault) as fault:
            return Looked(runs=busy is not None, fault=str(fault))


def last_hops(found: Found, looked: Looked, settings: Settings, now: datetime) -> list[Hop]:
    """Return the hops that are still to come, or what memory did with the message."""
    way = found.way
    if way.outcome == "pending":
        return [Hop("", "pending", f"no reply yet: {_why_pending(way, looked, settings, now)}")]
    if not way.is_delivered:
        until = "it is tried again by itself" if looked.runs else "no daemon runs here: the next start shows it"
        return [Hop("", "undelivered", f"not delivered yet, or the platform has not confirmed it: {until}")]
    if way.outcome == "answered" and isinstance(way.message, UserMessage) and way.message.source is not None:
        return [Hop("", "memory", _in_memory(looked, settings))]
    return []


def _why_pending(way: Way, looked: Looked, settings: Settings, now: datetime) -> str:
    source, key = way.message.source, way.key
    if key is not None and key.channel not in settings.channels_config.enabled:
        return f"the channel {key.channel} is not configured"
    sent_at = parse_time(source.sent_at) if source else None
    limit = settings.channels_config.stale_after_minutes
    if not looked.runs:
        asks = isinstance(way.message, UserMessage) or way.message.name == "retry"
        is_stale = asks and sent_at is not None and (now - sent_at).total_seconds() > limit * 60
        old = f"tells its sender that it is over {limit:g} minutes old, unless a newer one waits with it"
        return f"no daemon runs here, the next start {old if is_stale else 'answers it'} (agentd run)"
    if looked.fault:
        return f"a daemon runs here, and what it does cannot be asked: {looked.fault}"
    behind = f"; {len(way.waits_behind)} before it in this session wait too" if way.waits_behind else ""
    return f"{_STATES.get(looked.fate.doing, _STATES[''])}{behind}"


_STATES = {
    "answering": "a reply is being made in this session, of which it is a part or for which it waits",
    "stalled": "the disk, or the platform, refused what was to be written, and it is tried again by itself, or with "
    "the next message (in the log: session_stalled, delivery_postponed)",
    "expecting": "more of it was announced, and is waited for",
    "idle": "the daemon is about to take it up",
    "": "the daemon has not opened this session yet: it may still be recovering, or be of another configuration",
}


def _in_memory(looked: Looked, settings: Settings) -> str:
    fate = looked.fate
    if looked.fault:
        return f"what memory has of it could not be asked: {looked.fault}"
    for task in fate.tasks:
        tried = f"tried {task.attempts} times, {task.error}" if task.error else "not tried yet"
        match task.state:
            case "failed":
                return f"not learnt from, and given up ({tried}): agentd tasks retry {task.id} tries again"
            case "doing":
                return f"is being learnt from (task {task.id})"
            case _:
                return f"waits to be learnt from (task {task.id}, {tried})"
    if fate.learnt:
        return "learnt from"
    if fate.learnt is None:
        return "there is no memory (memory.enabled), or nothing was ever kept in it"
    least = settings.memory.min_message_chars
    short = f"its sender's own words in that turn are under {least} characters (memory.min_message_chars)"
    return f"not learnt from, and no task waits: {short}, it is of a time when memory was off, or is yet to be queued"


async def _alone(settings: Settings, asked: Asked) -> Fate:
    """Look into the stores that exist; one that was never created holds nothing."""
    workspace, url = settings.workspace, settings.storage.url
    is_shared = bool(url.get_secret_value())
    async with AsyncExitStack() as stack:
        queue = store = None
        if settings.memory.enabled and (is_shared or (workspace / "tasks.db").exists()):
            queue = await stack.enter_async_context(open_queue(locate(url, workspace), utc_now))
        if settings.memory.enabled and (is_shared or (workspace / "memory.db").exists()):
            location = url if is_shared else workspace / "memory.db"
            store = await stack.enter_async_context(open_memory(location, utc_now))
        return await fate_of(asked, store, queue)


def _asked(found: Found) -> Asked:
    way, source = found.way, found.way.message.source
    author = f"{way.key.channel}:{source.author.id}" if way.key is not None and source is not None else ""
    return Asked(session=found.path.stem, began=way.began, seq=way.message.seq, person=author)

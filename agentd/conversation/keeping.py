"""Puts what came in on disk: nobody looks for it there before that has ended."""

from __future__ import annotations

import asyncio

import structlog

from agentd.conversation.inbound_records import build_change
from agentd.transcript.records import Record
from agentd.transcript.store import Session, SessionStore
from channels.base import InboundDelete, InboundEdit

__all__ = ["keep", "keep_change"]

log = structlog.get_logger()


async def keep(store: SessionStore, session: Session, record: Record) -> Record:
    """Append a record. Raises StorageError.

    Who is cancelled meanwhile waits for its end all the same: until then nobody can tell whether the same thing,
    offered again, is there already.
    """
    kept = await store.enqueue(session, record)
    try:
        [written] = await asyncio.shield(kept)
    finally:
        if not kept.done():
            await asyncio.wait([kept])
    return written


async def keep_change(
    store: SessionStore, session: Session, inbound: InboundEdit | InboundDelete, of: int | None
) -> None:
    """Record an edit or a deletion once; a command that waits, or what nobody recognises any more, has none."""
    record = None if of is None or of in session.view.commands else build_change(inbound, of)
    if record is None or session.view.knows_change(record):
        log.info("change_ignored", session=session.path.stem, of=of)
        return
    await keep(store, session, record)
    log.info("change_accepted", session=session.path.stem, of=of, change=type(record).__name__.lower())

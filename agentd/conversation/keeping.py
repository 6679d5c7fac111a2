"""Appends incoming messages, edits and deletions to the session, and waits for the flush even if cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from agentd.conversation.inbound_records import build_change
from agentd.transcript.records import Record
from agentd.transcript.store import Session, SessionStore
from channels.base import InboundDelete, InboundEdit

__all__ = ["keep", "keep_change"]

log = structlog.get_logger()


def _nothing() -> None:
    """Do nothing: nobody waits for it."""


async def keep(store: SessionStore, session: Session, record: Record, taken: Callable[[], None] = _nothing) -> Record:
    """Append a record, wait for it to be flushed, and then call `taken`. Raises StorageError.

    If cancelled, still wait for the append to end: until then a redelivery of the same message could not be recognised.
    `taken` is called all the same, since what is on disk is to be answered.
    """
    kept = await store.enqueue(session, record)
    try:
        [written] = await asyncio.shield(kept)
    finally:
        if not kept.done():
            await asyncio.wait([kept])
        if not kept.cancelled() and kept.exception() is None:
            taken()
    return written


async def keep_change(
    store: SessionStore, session: Session, inbound: InboundEdit | InboundDelete, of: int | None
) -> None:
    """Record an edit or deletion once; ignore it if its message is unknown or a command that still waits."""
    record = None if of is None or of in session.view.commands else build_change(inbound, of)
    if record is None or session.view.knows_change(record):
        log.info("change_ignored", session=session.path.stem, of=of)
        return
    await keep(store, session, record)
    log.info("change_accepted", session=session.path.stem, of=of, change=type(record).__name__.lower())

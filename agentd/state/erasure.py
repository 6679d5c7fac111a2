"""Removes a person from `state.db`, including its free pages and journal; a step of erasing a person.

The links go last: until then they tell who the person is, so that an interrupted removal can be done again.
"""

from __future__ import annotations

from dataclasses import dataclass

from agentd.state.database import scrub
from agentd.state.state import State

__all__ = ["Traces", "erase_traces"]


@dataclass(frozen=True, slots=True)
class Traces:
    """The ids under which the database may name a person."""

    senders: frozenset[str]
    """CHANNEL:SENDER."""
    chats: frozenset[tuple[str, str, str]] = frozenset()
    """Direct chats: channel, account, id."""
    files: frozenset[str] = frozenset()
    """Names of session files."""


async def erase_traces(state: State, traces: Traces) -> int:
    """Remove a person; return the number of rows. Raises StorageError."""
    removed = await state.pairings.forget(traces.senders)
    removed += await state.usage.forget(traces.senders)
    removed += await state.aliases.forget(traces.chats)
    await state.marks.forget(traces.files)
    linked = sum(len(state.people.senders_of(sender)) > 1 for sender in traces.senders)
    await state.people.forget(traces.senders)
    await state.kept.run_durably(scrub)
    return removed + linked

"""The state of a session that cannot go on for now: the disk or the platform refused, and its records stay pending."""

from __future__ import annotations

import structlog

from agentd.conversation.notices import unsaved_text
from agentd.conversation.outbox import Outbox
from agentd.conversation.question import next_question
from agentd.errors import StorageError
from agentd.transcript.store import Session
from channels.errors import Unreachable

__all__ = ["Stall"]

log = structlog.get_logger()

FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 60.0
"""How long after an undeliverable reply it is tried again: doubled each time, from the first to the last."""


class Stall:
    """Tells whether a session's actor is stalled, and when it tries again."""

    def __init__(self) -> None:
        """Begin without one."""
        self.holds = False
        """True while the actor does nothing but accept messages."""
        self._retry_seconds = 0.0

    @property
    def retry_seconds(self) -> float:
        """Return after how many seconds to try again; 0 if it is not stalled, or only a new message ends the stall."""
        return self._retry_seconds if self.holds else 0.0

    def end(self) -> None:
        """Let the actor go on; if that fails too, it waits longer than before."""
        self.holds = False

    def forget(self) -> None:
        """Start over with the shortest wait: the disk and the platform took everything that there was for them."""
        self._retry_seconds = 0.0

    async def begin(self, session: Session, outbox: Outbox, fault: StorageError | Unreachable) -> None:
        """Stop working for now; what is on disk stays pending.

        If the disk refused the model's answer, the model must be asked again: that happens with the next message or the
        next run, and the sender is told so if possible. A recorded answer that could not be delivered is retried after
        `retry_seconds` (backoff).
        """
        self.holds = True
        has_to_say = bool(session.view.undelivered)
        if isinstance(fault, StorageError) and not has_to_say and next_question(session.view, 1) is not None:
            log.error("session_stalled", session=session.path.stem, fault=str(fault))
            self._retry_seconds = 0.0
            await outbox.tell(unsaved_text(str(fault)))
        else:
            self._retry_seconds = min(max(2 * self._retry_seconds, FIRST_RETRY_SECONDS), LAST_RETRY_SECONDS)
            log.warning("delivery_postponed", session=session.path.stem, seconds=self._retry_seconds, fault=str(fault))

"""What a turn has received of its reply so far, and the record that is made of it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from msgspec import UNSET, UnsetType

from agentd.conversation.outbox import Ending
from agentd.providers.base import Event, Finished, Usage
from agentd.providers.errors import ProviderError
from agentd.transcript.records import AssistantMessage, TokenUsage

__all__ = ["Progress", "closing"]

log = structlog.get_logger()


@dataclass(slots=True)
class Progress:
    """The text that a provider has streamed, how it ended, and the record of it."""

    text: str = ""
    finished: Finished | None = None
    factor: float | UnsetType = UNSET
    """The token factor that was learnt from this request."""
    ending: Ending | None = None
    """The reply's record, once it is being written: the turn cannot end in another way then."""

    @property
    def usage(self) -> Usage:
        """Return the tokens that the provider counted: zeros before it finished."""
        return self.finished.usage if self.finished else Usage()

    @property
    def verdict(self) -> tuple[str, str]:
        """Return why a reply that has ended is not whole ("" if it is), and a sentence about that."""
        if self.finished and self.finished.reason == "filtered":
            return "filtered", "The model's provider withheld the reply. Say it in other words to try again."
        return "", ""

    def record(self, answers: tuple[int, ...], model: str, trace: str, *, is_whole: bool) -> AssistantMessage:
        """Return the reply as a record that settles the messages with these seqs."""
        return AssistantMessage(
            content=self.text,
            answers=answers,
            outcome="complete" if is_whole else "interrupted",
            model=self.finished.model if self.finished else model,
            usage=TokenUsage(
                input_tokens=self.usage.input_tokens, output_tokens=self.usage.output_tokens, factor=self.factor
            ),
            trace=trace,
        )


@asynccontextmanager
async def closing(
    events: AsyncGenerator[Event, None], progress: Progress
) -> AsyncIterator[AsyncGenerator[Event, None]]:
    """Close the stream at the end of the block; once the reply is whole, a fault in closing is only logged."""
    try:
        yield events
    finally:
        try:
            await events.aclose()
        except ProviderError as fault:
            if progress.finished is None:
                raise
            log.warning("stream_not_ended", fault=str(fault))

"""Asks memory what may help with a question, before the model is asked, and for 50 ms at most."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from agentd.conversation.remembrance import Remembrance
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Source, UserMessage
from memory.errors import MemoryFault
from memory.marks import mark_recalled, own_words
from memory.model import Recalled, Reserve

__all__ = ["recall"]

RECALL_SECONDS = 0.05
"""A turn goes on without memory if it takes longer."""

MOST_QUESTION_CHARACTERS = 2_000
"""How much of the question, from its end, is searched for: of a pasted book no more."""

CHARACTERS_SHARE = 8
"""Recalled text has at most an eighth as many characters as the budget has tokens: it only helps."""

log = structlog.get_logger()


async def recall(
    memory: Remembrance | None, key: SessionKey, messages: Sequence[UserMessage], budget_tokens: int
) -> str:
    """Return the recalled entries as text to put before the question; "" if nothing is found, or not in time."""
    source = messages[-1].source
    question = "\n".join(own_words(message.content) for message in messages)[-MOST_QUESTION_CHARACTERS:]
    if memory is None or source is None or not memory.settings.recall_entries or not question.strip():
        return ""
    found = await _look(memory, key, source, question, _reserve(memory, budget_tokens))
    return f"{mark_recalled(found)}\n\n" if found else ""


async def _look(
    memory: Remembrance, key: SessionKey, source: Source, question: str, reserve: Reserve
) -> Sequence[Recalled]:
    began = asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(RECALL_SECONDS):
            found = await memory.store.recall(memory.who(key, source), question, reserve)
    except TimeoutError:
        log.warning("recall_not_waited_for", after_seconds=RECALL_SECONDS)
        return ()
    except MemoryFault as fault:
        log.warning("recall_failed", fault=str(fault))
        return ()
    except Exception:
        log.exception("recall_crashed")
        return ()
    seconds = round(asyncio.get_running_loop().time() - began, 4)
    log.info("recalled", entries=[entry.id for entry in found], seconds=seconds)
    return found


def _reserve(memory: Remembrance, budget_tokens: int) -> Reserve:
    given = memory.settings
    total = min(given.recall_total_chars, budget_tokens // CHARACTERS_SHARE)
    return Reserve(given.recall_entries, given.recall_entry_chars, total)

"""The job `consolidate`: has the model extract facts from an exchange, and writes them to memory once.

The model is asked outside of any transaction: a job that is cut there is done again. What was learnt, and that it was,
are one transaction of the store's, so doing it twice has the effect of once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable

import structlog
from structlog.contextvars import bind_contextvars

from agentd.providers.errors import ProviderError
from agentd.tasks.exchanges import parse_exchange
from agentd.tasks.queue import Args, Job, TaskFault
from memory.consolidation import consolidate
from memory.errors import MemoryFault
from memory.model import LearnOutcome, Lesson
from memory.ports import Complete, MemoryWriting

__all__ = ["build_consolidation"]

log = structlog.get_logger()


def build_consolidation(
    store: MemoryWriting, complete: Callable[[str], Complete], learnt: Callable[[], Awaitable[object]]
) -> Job:
    """Return the job; `complete` asks the model on behalf of a person, `learnt` is called when there is something new.

    The job raises TaskFault, in words that hold nothing of what was said.
    """

    async def work(args: Args) -> None:
        exchange = parse_exchange(args)
        bind_contextvars(trace=exchange.trace)  # bound here for the failure's log line too: a task has its own context
        try:
            if await store.knows(exchange):
                log.info("exchange_known", first=exchange.first, last=exchange.last, session=exchange.session)
                await learnt()  # a run that was cut may not have called it
                return
            lesson = await consolidate(exchange, complete(exchange.person))
            outcome = await store.learn(lesson)
        except ProviderError as fault:
            # Its text may quote what the model was asked.
            raise TaskFault(f"the model could not be asked ({type(fault).__name__})") from None
        except TimeoutError:
            raise TaskFault("the model took too long") from None
        except MemoryFault as fault:
            raise TaskFault(str(fault)) from None
        _log(lesson, outcome)
        if outcome.done:
            await learnt()

    return work


def _log(lesson: Lesson, outcome: LearnOutcome) -> None:
    exchange = lesson.exchange
    log.info(
        "exchange_learnt" if outcome.done else "exchange_known",
        session=exchange.session,
        first=exchange.first,
        last=exchange.last,
        history=lesson.daily is not None,
        facts=dict(Counter(change.deed.value for change in outcome.changes)),
        refused=dict(Counter(map(str, lesson.refused))),
    )

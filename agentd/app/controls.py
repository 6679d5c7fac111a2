"""Lists the commands that a running daemon answers on its control socket, and connects them to its parts.

Code for rarely used commands is imported when one is first asked for.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

import msgspec

from agentd.admission.spending import Spending
from agentd.app.models import ChangingModels
from agentd.app.overseeing import Oversight
from agentd.app.remembering import Remembering
from agentd.conversation.router import Router
from agentd.delivery.front import Front
from agentd.errors import AgentdError
from agentd.people.approving import Approving
from agentd.providers.fallback import FallingBack
from agentd.providers.registry import MAIN
from agentd.service.control import Caller, Handler
from agentd.service.status import ModelStatus, Views, Watch
from agentd.state.state import State
from agentd.tasks.answering import Answering
from agentd.tasks.fate import fate_of, parse_asked
from agentd.transcript.clock import Clock
from agentd.transcript.store import SessionStore
from channels.base import Address
from memory.errors import MemoryFault

__all__ = ["Controls", "build_handlers"]

TENDING = ("import", "repair")
MEMORY = ("memory list", "memory search", "memory why", "memory forget")
PEOPLE = ("people list", "people link", "people export", "people erase")


@dataclass(frozen=True, slots=True)
class Controls:
    """The parts of the daemon that commands use."""

    state: State
    front: Front
    store: SessionStore
    models: ChangingModels
    remembering: Remembering
    router: Router
    spending: Spending
    tell: Callable[[Address, str], Awaitable[bool]]
    clock: Clock
    oversight: Oversight


def build_handlers(parts: Controls) -> dict[str, Handler]:
    """Return the commands by their names on the control socket."""
    models = partial(_look_at_models, parts.models)
    views = Views(
        parts.oversight.look_at_channels,
        parts.router.count,
        models,
        parts.oversight.stage,
        parts.oversight.vitals.faults,
        parts.oversight.tasks,
    )
    watch = Watch(version("agentd"), views, time.monotonic)
    memory = MEMORY if parts.remembering.memory else ()
    return {
        "status": watch.tell,
        **Approving(parts.state.pairings, parts.tell).handlers,
        **Answering(parts.remembering.queue).handlers,
        "trace": partial(_trace, parts),
        **_late(TENDING, partial(_tending, parts)),
        **_late(memory, partial(_memory, parts)),
        **_late(PEOPLE, partial(_people, parts)),
    }


async def _trace(parts: Controls, request: Mapping[str, object], caller: Caller) -> int:
    """Return, as JSON, what memory and the session know of a message."""
    asked, memory = parse_asked(request), parts.remembering.memory
    try:
        doing = parts.router.doing(asked.session)
        fate = await fate_of(asked, memory.store if memory else None, memory.queue if memory else None, doing)
    except MemoryFault as fault:
        raise AgentdError(str(fault)) from fault
    await caller.say(json.dumps(msgspec.to_builtins(fate)))
    return 0


def _late(names: Iterable[str], build: Callable[[], Mapping[str, Handler]]) -> dict[str, Handler]:
    """Return commands whose handlers are built when one is first called."""
    built: dict[str, Handler] = {}

    async def answer(request: Mapping[str, object], caller: Caller) -> int:
        if not built:
            built.update(build())
        return await built[str(request["command"])](request, caller)

    return dict.fromkeys(names, answer)


def _tending(parts: Controls) -> Mapping[str, Handler]:
    from agentd.transcript.tending import Tending

    tending = Tending(parts.store, parts.clock, parts.router.wake)
    return {"import": tending.take_in, "repair": tending.repair}


def _memory(parts: Controls) -> Mapping[str, Handler]:
    from agentd.service.memory_answering import MemoryAnswering

    memory = parts.remembering.memory
    return MemoryAnswering(memory.store, memory.senders_of).handlers if memory else {}


def _people(parts: Controls) -> Mapping[str, Handler]:
    from agentd.people.answering import PeopleAnswering
    from agentd.people.stores import OpenSessions, Stores

    stores = Stores(
        parts.store.folder.parent,
        OpenSessions(parts.router, parts.store),
        parts.state,
        parts.remembering.queue,
        parts.remembering.memory.store if parts.remembering.memory else None,
        forget_spending=parts.spending.forget,
    )
    return PeopleAnswering(stores, parts.clock, parts.remembering.open_kept).handlers


def _look_at_models(models: ChangingModels) -> list[ModelStatus]:
    main, provider = models.main, models.main.inner
    if not isinstance(provider, FallingBack):
        return [ModelStatus(name=MAIN, model=main.model, fault=str(main.fault or ""), pause_seconds=0.0)]
    return [
        ModelStatus(name=state.section, model=state.model, fault=state.fault, pause_seconds=state.pause_seconds)
        for state in provider.look()
    ]

"""Answers `agentd people list, link, export and erase`, in a running daemon or in the command line's own process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import asdict, dataclass, replace

import msgspec
import structlog

from agentd.errors import AgentdError
from agentd.people.census import count_people
from agentd.people.erasing import erase_person
from agentd.people.exporting import export_person
from agentd.people.stores import Stores, parse_person
from agentd.service.control import Caller, Handler
from agentd.transcript.clock import Clock
from channels.errors import NotAccepted
from memory.errors import MemoryFault
from memory.ports import MemoryRights

__all__ = ["PeopleAnswering", "answer_people"]

log = structlog.get_logger()

Say = Callable[[str], Awaitable[None]]


class _Request(msgspec.Struct):
    people: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PeopleAnswering:
    """Serves these commands on the control socket."""

    stores: Stores
    clock: Clock
    open_kept: Callable[[], AbstractAsyncContextManager[MemoryRights]] | None = None
    """Opens memory if the daemon has it off but it was on once; None: there is none."""

    @property
    def handlers(self) -> dict[str, Handler]:
        """Return the commands by their names on the control socket."""
        return {f"people {name}": self._answer for name in ("list", "link", "export", "erase")}

    async def _answer(self, request: Mapping[str, object], caller: Caller) -> int:
        async def say(line: str) -> None:
            await caller.say(line)

        async with self._whole() as stores:
            return await answer_people(request, stores, self.clock, say)

    @asynccontextmanager
    async def _whole(self) -> AsyncIterator[Stores]:
        """Yield the stores including a memory that is off, so that erasing a person reaches it too."""
        if self.stores.memory is not None or self.open_kept is None:
            yield self.stores
            return
        try:
            async with self.open_kept() as memory:
                yield replace(self.stores, memory=memory)
        except MemoryFault as fault:
            raise AgentdError(str(fault)) from fault


async def answer_people(request: Mapping[str, object], stores: Stores, clock: Clock, say: Say) -> int:
    """Run a command, say its result, and return the exit code. Raises AgentdError and OSError."""
    people = tuple(map(parse_person, msgspec.convert(request, _Request).people))
    try:
        match request.get("command"), people:
            case "people list", ():
                for person in await count_people(stores):
                    await say(json.dumps(asdict(person)))
            case "people link", (a, b):
                senders = await stores.state.people.link(a, b)
                log.info("people_linked", senders=len(senders))
                await say(say_linked(senders))
            case "people export", (person,):
                async for item in export_person(person, stores):
                    await say(json.dumps(item))
            case "people erase", (person,):
                return await erase_person(person, stores, clock, say)
            case _:
                raise AgentdError("this is no request")
    except (MemoryFault, NotAccepted) as fault:
        raise AgentdError(str(fault)) from fault
    return 0


def say_linked(senders: frozenset[str]) -> str:
    """Say to the operator which accounts are one person now, and what that opens."""
    if len(senders) == 1:
        return f"{min(senders)} is one person already."
    return (
        f"{', '.join(sorted(senders))} are one person now: what is remembered from private talk with one is known in "
        "private talk with the others."
    )

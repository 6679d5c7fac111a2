"""Answers `agentd memory` in lines of JSON, in a running daemon or in the command line's own process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated

import msgspec
import structlog

from agentd.errors import AgentdError
from agentd.service.control import Caller, Handler
from memory.errors import MemoryFault
from memory.model import Memory, Who
from memory.ports import MemoryStore

__all__ = ["MemoryAnswering"]

PAGE_ENTRIES = 500
"""How many entries are in memory at once: a list may have a hundred thousand."""

MOST_FOUND = 50

log = structlog.get_logger()


class _Ask(msgspec.Struct):
    command: str
    person: str | None = None
    """One of a person's ids; None: everybody, since the operator asks."""
    words: str = ""
    id: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0


class MemoryAnswering:
    """Serves the memory commands on the control socket."""

    def __init__(self, store: MemoryStore, senders_of: Callable[[str], frozenset[str]]) -> None:
        """Answer from this memory; `senders_of` returns all ids of a person, given one of them."""
        self._store = store
        self._senders_of = senders_of

    @property
    def handlers(self) -> dict[str, Handler]:
        """Return the commands by their names on the control socket."""
        return dict.fromkeys(("memory list", "memory search", "memory why", "memory forget"), self._serve)

    async def _serve(self, request: Mapping[str, object], caller: Caller) -> int:
        async for line in self.answer(request):
            await caller.say(line)
        if request["command"] == "memory forget":
            log.info("entry_forgotten", entry=request["id"])
        return 0

    async def answer(self, request: Mapping[str, object]) -> AsyncIterator[str]:
        """Yield the lines of the answer: one per entry, or a sentence for `forget`.

        Raises AgentdError, and ValidationError if the request is malformed.
        """
        ask = msgspec.convert(request, _Ask)
        with _plain_faults():
            match ask.command:
                case "memory list":
                    found = self._list(await self._who(ask.person))
                case "memory search":
                    found = self._search(await self._who(ask.person), ask.words)
                case "memory why":
                    found = self._why(await self._who(ask.person), ask.id)
                case _:
                    yield await self._forget(await self._who(ask.person), ask.id)
                    return
            async for entry in found:
                yield json.dumps(msgspec.to_builtins(entry, builtin_types=(datetime,)), default=_written)

    async def _who(self, person: str | None) -> Who:
        senders = frozenset(await self._store.people()) if person is None else self._senders_of(person)
        return Who(senders, direct=True)

    async def _list(self, who: Who) -> AsyncIterator[Memory]:
        before: int | None = None
        while page := await self._store.listed(who, before, PAGE_ENTRIES):
            for entry in page:
                yield entry
            before = page[-1].id

    async def _search(self, who: Who, words: str) -> AsyncIterator[Memory]:
        for number in await self._store.search(who, words, MOST_FOUND):
            entry = await self._store.why(who, number)
            if entry is not None:
                yield entry

    async def _why(self, who: Who, number: int) -> AsyncIterator[Memory]:
        entry = await self._store.why(who, number)
        if entry is None:
            raise _absent(number)
        yield entry

    async def _forget(self, who: Who, number: int) -> str:
        if not await self._store.forget(who, number):
            raise _absent(number)
        return f"Entry {number} is forgotten. The words that it was made from stay in their conversation."


def _absent(number: int) -> AgentdError:
    return AgentdError(f"there is no such entry {number}: agentd memory list shows them")


def _written(value: object) -> str:
    """Return a time in JSON's form."""
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(type(value).__name__)


@contextmanager
def _plain_faults() -> Iterator[None]:
    try:
        yield
    except MemoryFault as fault:
        raise AgentdError(str(fault)) from fault

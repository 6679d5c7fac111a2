"""`agentd memory`: lists, searches, explains, exports and removes what is known of people."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agentd.cli.screen import clean, print_lines
from agentd.cli.sessions_files import alone_in, load, plain_faults
from agentd.errors import AgentdError
from agentd.service.control_client import ask_daemon
from agentd.service.memory_answering import MemoryAnswering
from agentd.settings import Settings
from agentd.state.state import open_kept
from agentd.transcript.clock import utc_now
from memory.errors import MemoryFault
from memory.model import Memory
from memory.opening import open_memory

__all__ = ["memory"]

memory = typer.Typer(help="What is known of people, and where it comes from.", no_args_is_help=True)

Show = Callable[[str], None]
"""Called with a line of the answer."""


def _parse_person(person: str | None) -> str | None:
    """Return the person's id. Raises BadParameter if it is malformed."""
    if person is not None and not all(person.partition(":")):
        raise typer.BadParameter("write CHANNEL:SENDER, for example telegram:42")
    return person


Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
Person = Annotated[
    str | None,
    typer.Option("--person", metavar="P", callback=_parse_person, help="CHANNEL:SENDER, any id of theirs; else all."),
]
Number = Annotated[int, typer.Argument(metavar="ID", min=0, max=(1 << 63) - 1, help="As agentd memory list shows it.")]
Words = Annotated[list[str], typer.Argument(metavar="WORDS", help="A question, or some words of what is looked for.")]


@memory.command("list")
def list_entries(context: typer.Context, person: Person = None, as_json: Json = False) -> None:
    """List what is known, newest first; what no longer holds too, marked."""
    _print(context, {"command": "memory list", "person": person}, as_json=as_json)


@memory.command()
def search(context: typer.Context, words: Words, person: Person = None, as_json: Json = False) -> None:
    """List what would be found for these words, best first."""
    _print(context, {"command": "memory search", "person": person, "words": " ".join(words)}, as_json=as_json)


@memory.command()
def why(context: typer.Context, number: Number, person: Person = None, as_json: Json = False) -> None:
    """Show an entry, where it was learnt, and the words on which it stands."""
    _print(context, {"command": "memory why", "person": person, "id": number}, as_json=as_json, is_whole=True)


@memory.command()
def forget(context: typer.Context, number: Number, person: Person = None) -> None:
    """Remove an entry."""
    request = {"command": "memory forget", "person": person, "id": number}
    _ask(load(context.obj), request, lambda line: print_lines([clean(line)]))


@memory.command()
def export(context: typer.Context, person: Person = None) -> None:
    """Print everything as one JSON array, newest first, with the words on which each entry stands."""
    _print(context, {"command": "memory list", "person": person}, as_json=True)


def _print(context: typer.Context, request: Mapping[str, object], *, as_json: bool, is_whole: bool = False) -> None:
    """Print each entry as it comes; characters that the screen lacks are replaced, and JSON is ASCII only."""
    settings, count = load(context.obj), 0
    print_lines(())  # from here on, characters that the screen lacks are replaced

    def show(line: str) -> None:
        nonlocal count
        if as_json:
            sys.stdout.write(f"{',' if count else '['}{line}\n")
        else:
            sys.stdout.writelines(f"{clean(text)}\n" for text in _lines(_read(line), is_whole=is_whole))
        count += 1

    _ask(settings, request, show)
    if as_json:
        sys.stdout.write("]\n" if count else "[]\n")


def _ask(settings: Settings, request: Mapping[str, object], show: Show) -> None:
    """Let the daemon answer if it has memory open; otherwise read memory here."""
    is_shared = bool(settings.storage.url.get_secret_value())
    if is_shared or not settings.memory.enabled or not _file_of(settings).exists():
        asyncio.run(_on_memory(settings, request, show, _state_of(settings)))
        return
    with plain_faults(), alone_in(settings.workspace) as busy:
        if busy is None:
            asyncio.run(_on_memory(settings, request, show, _state_of(settings)))
        elif ask_daemon(settings.workspace, request, show) is None:
            raise busy


async def _on_memory(settings: Settings, request: Mapping[str, object], show: Show, state: Path | None) -> None:
    path, url = _file_of(settings), settings.storage.url
    # If nothing was ever kept, an empty in-memory store answers, and leaves no file.
    location = url if url.get_secret_value() else path if path.exists() else None
    try:
        async with open_memory(location, utc_now) as store, _linked(state) as senders_of:
            async for line in MemoryAnswering(store, senders_of).answer(request):
                show(line)
    except MemoryFault as fault:
        raise AgentdError(str(fault)) from fault


@asynccontextmanager
async def _linked(path: Path | None) -> AsyncIterator[Callable[[str], frozenset[str]]]:
    """Yield a function that returns all ids of a person; without a database nobody is linked, and none is created."""
    if path is None:
        yield lambda sender: frozenset({sender})
        return
    async with open_kept(path, utc_now) as state:
        yield state.people.senders_of


def _state_of(settings: Settings) -> Path | None:
    path = settings.workspace / "state.db"
    return path if path.exists() else None


def _file_of(settings: Settings) -> Path:
    return settings.workspace / "memory.db"


def _read(line: str) -> Memory:
    return msgspec.convert(json.loads(line), Memory)


def _lines(entry: Memory, *, is_whole: bool) -> Iterator[str]:
    gone = "" if entry.superseded_at is None else f"  (no longer, since {entry.superseded_at:%Y-%m-%d})"
    parts = (str(entry.id), entry.kind, entry.person, f"{entry.created:%Y-%m-%d %H:%M}", " ".join(entry.text.split()))
    yield "  ".join(parts) + gone
    if not is_whole:
        return
    where = "in private" if entry.direct else "where others could read"
    yield f"    learnt from {entry.session} #{entry.first} to #{entry.last}, {where}"
    for given in entry.evidence:
        yield f"    {given.session} #{given.seq}: {given.quote}"
    if entry.replaced:
        yield f"    in the place of {', '.join(map(str, entry.replaced))}"
    if entry.superseded_by is not None:
        yield f"    {entry.superseded_by} took its place"

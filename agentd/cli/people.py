"""`agentd people`: lists people, links accounts, and exports or erases everything kept of a person."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated

import typer

from agentd.cli.screen import clean, print_array, print_lines, print_text
from agentd.cli.sessions_files import alone_in, load, plain_faults
from agentd.errors import AgentdError
from agentd.people.answering import answer_people
from agentd.people.stores import ClosedSessions, Stores, parse_person
from agentd.service.control_client import ask_daemon
from agentd.settings import Settings
from agentd.state.state import open_kept
from agentd.tasks.opening import locate, open_queue
from agentd.transcript.clock import utc_now
from memory.opening import open_memory

__all__ = ["people"]

people = typer.Typer(help="Who there is, and all that is kept of one person.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
Person = Annotated[str, typer.Argument(metavar="CHANNEL:SENDER", help="Any of the person's ids.")]


@people.command("list")
def list_people(context: typer.Context, as_json: Json = False) -> None:
    """List everybody whom anything is kept of."""
    lines: list[str] = []
    _do(load(context.obj), {"command": "people list"}, lines.append)
    found = [json.loads(line) for line in lines]
    if as_json:
        print_array(found)
    else:
        print_lines(clean(_line(person)) for person in found)


@people.command()
def link(context: typer.Context, a: Person, b: Person) -> None:
    """Make two accounts one person: private memory of one opens to the other."""
    _do(load(context.obj), {"command": "people link", "people": [_parsed(a), _parsed(b)]}, _print_line)


@people.command()
def export(context: typer.Context, person: Person) -> None:
    """Print everything that is kept of a person, a JSON object a line."""
    _do(load(context.obj), {"command": "people export", "people": [_parsed(person)]}, _print_json)


@people.command()
def erase(context: typer.Context, person: Person, yes: Yes = False) -> None:
    """Erase a person everywhere, and search for what remains; exit 1 if anything does."""
    who = _parsed(person)
    settings = load(context.obj)
    if not yes:
        if not sys.stdin.isatty():
            raise typer.BadParameter("what is erased cannot be brought back: say --yes where nobody can be asked")
        typer.confirm(f"Erase everything that is kept of {clean(who)}, and of the accounts linked with it?", abort=True)
    code = _do(settings, {"command": "people erase", "people": [who]}, _print_line)
    raise typer.Exit(code)


def _parsed(person: str) -> str:
    try:
        return parse_person(person)
    except AgentdError as fault:
        raise typer.BadParameter(str(fault)) from fault


def _do(settings: Settings, request: Mapping[str, object], show: Callable[[str], None]) -> int:
    """Let the daemon that holds the workspace do it, or do it here; return the exit code."""
    with plain_faults(), alone_in(settings.workspace) as busy:
        if busy is None:
            return asyncio.run(_alone(settings, request, show))
        code = ask_daemon(settings.workspace, request, show)
        if code is None:
            raise busy
        return code


async def _alone(settings: Settings, request: Mapping[str, object], show: Callable[[str], None]) -> int:
    async def say(line: str) -> None:
        show(line)

    async with _opened(settings) as stores:
        return await answer_people(request, stores, utc_now, say)


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores that exist; one that was never created holds nothing."""
    workspace, url = settings.workspace, settings.storage.url
    is_shared = bool(url.get_secret_value())
    async with AsyncExitStack() as stack:
        state = await stack.enter_async_context(open_kept(workspace / "state.db", utc_now))
        queue = memory = None
        if is_shared or (workspace / "tasks.db").exists():
            queue = await stack.enter_async_context(open_queue(locate(url, workspace), utc_now))
        if is_shared or (workspace / "memory.db").exists():
            location = url if is_shared else workspace / "memory.db"
            memory = await stack.enter_async_context(open_memory(location, utc_now))
        yield Stores(workspace, ClosedSessions(), state, queue, memory)


def _line(person: Mapping[str, object]) -> str:
    senders = person["senders"]
    linked = ", ".join(senders[1:]) if isinstance(senders, list) else ""
    also = f"  with {linked}" if linked else ""
    return f"{person['person']}{also}  {person['messages']} messages in {person['sessions']} sessions"


def _print_line(line: str) -> None:
    print_lines([clean(line)])


def _print_json(line: str) -> None:
    print_text([f"{line}\n"])

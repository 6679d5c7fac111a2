"""`agentd tasks`: lists background tasks and dead ones, and retries a dead one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Annotated

import msgspec
import typer

from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import alone_in, load, plain_faults
from agentd.errors import AgentdError
from agentd.service.control_client import ask_daemon
from agentd.settings import Settings
from agentd.tasks.answering import say_retried
from agentd.tasks.opening import locate, open_queue
from agentd.tasks.queue import Entry, TaskQueue
from agentd.transcript.clock import utc_now

__all__ = ["tasks"]

tasks = typer.Typer(help="Work in the background, and what became of it.", no_args_is_help=True)

Work = Callable[[TaskQueue], Awaitable[list[str]]]
"""Runs a command on the queue itself, and returns the lines of the answer."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
Number = Annotated[int, typer.Argument(metavar="ID", help="As agentd tasks dead shows it.")]


@tasks.command("list")
def list_tasks(context: typer.Context, as_json: Json = False) -> None:
    """List the tasks that are kept: those that wait, are under way, or are dead."""
    _print(load(context.obj), as_json=as_json, dead=False)


@tasks.command()
def dead(context: typer.Context, as_json: Json = False) -> None:
    """List the tasks that are not tried any more, and why."""
    _print(load(context.obj), as_json=as_json, dead=True)


@tasks.command()
def retry(context: typer.Context, number: Number) -> None:
    """Let a dead task be tried again, from its first attempt on."""

    async def work(queue: TaskQueue) -> list[str]:
        await queue.retry(number)
        return [say_retried(number)]

    settings = load(context.obj)
    if _is_missing(settings):
        raise AgentdError(f"there is no dead task {number}: agentd tasks dead shows them")
    print_lines(map(clean, _done(settings, {"command": "tasks retry", "id": number}, work)))


def _print(settings: Settings, *, as_json: bool, dead: bool) -> None:
    async def work(queue: TaskQueue) -> list[str]:
        return [json.dumps(asdict(entry)) for entry in await queue.entries(dead=dead)]

    lines = [] if _is_missing(settings) else _done(settings, {"command": "tasks list", "dead": dead}, work)
    entries = [msgspec.convert(json.loads(line), Entry) for line in lines]
    if as_json:
        print_array(map(asdict, entries))
    else:
        print_lines(clean(_line(entry)) for entry in entries)


def _is_missing(settings: Settings) -> bool:
    """Return whether no task was ever kept here."""
    return not settings.storage.url.get_secret_value() and not (settings.workspace / "tasks.db").exists()


def _done(settings: Settings, request: Mapping[str, object], work: Work) -> list[str]:
    """Run a command here if the queue is shared or nobody has it open; otherwise let the daemon do it."""
    if settings.storage.url.get_secret_value():
        return asyncio.run(_on_queue(settings, work))
    with plain_faults(), alone_in(settings.workspace) as busy:
        if busy is None:
            return asyncio.run(_on_queue(settings, work))
        lines: list[str] = []
        if ask_daemon(settings.workspace, request, lines.append) is None:
            raise busy
        return lines


async def _on_queue(settings: Settings, work: Work) -> list[str]:
    async with open_queue(locate(settings.storage.url, settings.workspace), utc_now) as queue:
        return await work(queue)


def _line(entry: Entry) -> str:
    tried = f"{entry.attempts} attempt{'' if entry.attempts == 1 else 's'}"
    parts = (str(entry.id), entry.state, entry.task, entry.session or "", tried, entry.error or "")
    return "  ".join(part for part in parts if part)

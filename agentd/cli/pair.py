"""`agentd pair`: lists strangers who wait for approval, approves them, and revokes approvals."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import alone_in, load, plain_faults
from agentd.people.approving import say_approved, say_revoked
from agentd.service.control_client import ask_daemon
from agentd.state.pairings import Entry, Pairings, parse_code
from agentd.state.state import open_pairings
from agentd.transcript.clock import utc_now

__all__ = ["pair"]

pair = typer.Typer(help="Who may talk, by your word.", no_args_is_help=True)

Work = Callable[[Pairings], Awaitable[list[str]]]
"""Runs a command without a daemon, and returns the lines of the answer."""

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
WhoIsPaired = Annotated[bool, typer.Option("--paired", help="Those who were approved; else those who wait.")]
Code = Annotated[
    list[str], typer.Argument(metavar="CODE", help="What the stranger was shown, in any case or grouping.")
]
Person = Annotated[str, typer.Argument(metavar="CHANNEL:SENDER", help="As agentd pair list shows it.")]


@pair.command("list")
def list_pairings(context: typer.Context, as_json: Json = False, paired: WhoIsPaired = False) -> None:
    """List who waits for approval, with their codes; with --paired, who was approved."""
    workspace = load(context.obj).workspace
    with plain_faults():
        entries = _entries(workspace, paired=paired)
    if as_json:
        print_array(map(asdict, entries))
    else:
        print_lines(clean(_line(entry)) for entry in entries)


@pair.command()
def approve(context: typer.Context, code: Code) -> None:
    """Let in whoever was shown this code."""
    words = "".join(code)
    if not parse_code(words):
        raise typer.BadParameter("give the code that the stranger was shown")

    async def work(pairings: Pairings) -> list[str]:
        return [say_approved(await pairings.approve(words), is_told=False)]

    _decide(load(context.obj).workspace, {"command": "pair approve", "code": words}, work)


@pair.command()
def revoke(context: typer.Context, person: Person) -> None:
    """Take an approval back, or the code of somebody who waits."""
    channel, separator, sender = person.partition(":")
    if not (channel and separator and sender):
        raise typer.BadParameter("write CHANNEL:SENDER, for example telegram:42")

    async def work(pairings: Pairings) -> list[str]:
        return [say_revoked(channel, sender, removed=await pairings.revoke(channel, sender))]

    _decide(load(context.obj).workspace, {"command": "pair revoke", "channel": channel, "sender": sender}, work)


def _decide(workspace: Path, request: Mapping[str, object], work: Callable[[Pairings], Awaitable[list[str]]]) -> None:
    with plain_faults():
        print_lines(map(clean, _done(workspace, request, work)))


def _entries(workspace: Path, *, paired: bool) -> list[Entry]:
    if not (workspace / "state.db").exists():
        return []

    async def work(pairings: Pairings) -> list[str]:
        return [json.dumps(asdict(entry)) for entry in await pairings.entries(paired=paired)]

    lines = _done(workspace, {"command": "pair list", "paired": paired}, work)
    return [msgspec.convert(json.loads(line), Entry) for line in lines]


def _done(workspace: Path, request: Mapping[str, object], work: Work) -> list[str]:
    """Let the daemon that holds the workspace do it, or do it here; return the lines of the answer."""
    with alone_in(workspace) as busy:
        if busy is None:
            return asyncio.run(_on_state(workspace, work))
        lines: list[str] = []
        if ask_daemon(workspace, request, lines.append) is None:
            raise busy
        return lines


async def _on_state(workspace: Path, work: Work) -> list[str]:
    async with open_pairings(workspace / "state.db", utc_now) as pairings:
        return await work(pairings)


def _line(entry: Entry) -> str:
    person = f"{entry.channel}:{entry.sender}  {entry.name}"
    if entry.code is None:
        return f"{person}  since {_minute(entry.since)}"
    return f"{entry.code}  {person}  until {_minute(entry.expires)}"


def _minute(moment: str | None) -> str:
    return f"{(moment or '')[:16].replace('T', ' ')} UTC"

"""`agentd trace`: follows one message from its sending to its reply, or says why there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import load, plain_faults
from agentd.cli.trace_find import Found, find_by_id, find_by_seq
from agentd.cli.trace_why import last_hops, look_up
from agentd.transcript.clock import parse_time, utc_now
from agentd.transcript.way import Hop

__all__ = ["trace"]

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array, a hop each.")]
Which = Annotated[
    list[str],
    typer.Argument(
        metavar="ID | SESSION SEQ",
        help="The trace that replies, the log and records name; a platform's message id; or a session and a record.",
    ),
]

NAME_WIDTH = 11

MOST_DIGITS = 20
"""No record's number has more digits."""


def trace(context: typer.Context, which: Which, as_json: Json = False) -> None:
    """Follow one message from receipt to reply, each hop with its time, or say why there is no reply."""
    settings = load(context.obj)
    with plain_faults():
        found = _find(settings.workspace, which)
    hops = [*found.way.hops, *last_hops(found, look_up(settings, found), settings, utc_now())]
    if as_json:
        print_array(_items(found, hops))
    else:
        print_lines(map(clean, _lines(found, hops)))


def _find(workspace: Path, which: Sequence[str]) -> Found:
    match which:
        case [wanted]:
            return find_by_id(workspace, wanted)
        case [session, seq] if seq.removeprefix("#").isdecimal() and len(seq) <= MOST_DIGITS:
            return find_by_seq(workspace, session, int(seq.removeprefix("#")))
        case _:
            raise typer.BadParameter("give one id, or a session and the number of a record in it")


def _items(found: Found, hops: Sequence[Hop]) -> Iterator[dict[str, object]]:
    message = found.way.message
    for hop in hops:
        yield {
            "trace": message.trace,
            "session": found.path.stem,
            "seq": message.seq,
            "hop": hop.name,
            "at": hop.at or None,
            "what": hop.what,
            "record": hop.seq,
        }


def _lines(found: Found, hops: Sequence[Hop]) -> Iterator[str]:
    message = found.way.message
    source = message.source
    author = f" of {source.author.name or source.author.id} ({source.author.id})" if source else ""
    number = f"message {source.message_id}" if source else "a message that was brought in"
    yield f"{number}{author}, #{message.seq} of {found.path.stem}{f', trace {message.trace}' if message.trace else ''}"
    began = parse_time(hops[0].at) if hops else None
    for hop in hops:
        at = parse_time(hop.at)
        since = f"{(at - began).total_seconds():+10.3f} s" if at and began and hop is not hops[0] else " " * 12
        record = f"  #{hop.seq}" if hop.seq is not None else ""
        yield f"{hop.at or '-':<24} {since}  {hop.name:<{NAME_WIDTH}}  {hop.what}{record}"

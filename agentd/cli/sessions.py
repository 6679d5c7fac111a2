"""`agentd sessions`: lists, shows, searches, verifies, repairs, exports and imports the conversations on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import alone_in, find_session, list_files, load, oversee, plain_faults
from agentd.cli.sessions_find import print_hits
from agentd.cli.sessions_mend import ask_for_repair, repair_files, report_findings
from agentd.cli.sessions_move import export_session, prepare_import
from agentd.cli.sessions_text import as_screen
from agentd.transcript.file_disk import make_folder
from agentd.transcript.foreign import KeyParts
from agentd.transcript.lines import read_lines
from agentd.transcript.matching import parse_query
from agentd.transcript.records import Damaged, parse_line

__all__ = ["sessions"]

sessions = typer.Typer(help="The conversations on disk.", no_args_is_help=True)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]
Key = Annotated[str, typer.Argument(help="A session's name, or what only its name begins with or holds.")]
AnyKey = Annotated[str | None, typer.Argument(help="One session; else all of them.", show_default=False)]
Part = Annotated[str | None, typer.Option(help="Of the session's key; else the file says.", show_default=False)]


class Format(StrEnum):
    """How `export` writes."""

    JSONL = "jsonl"
    MARKDOWN = "markdown"


@sessions.command("list")
def list_sessions(context: typer.Context, as_json: Json = False) -> None:
    """List all sessions, the newest first."""
    workspace = load(context.obj).workspace
    with plain_faults():
        found = sorted(map(oversee, list_files(workspace)), key=lambda seen: seen.updated, reverse=True)
    if as_json:
        print_array(map(asdict, found))
    else:
        width = max((len(str(seen.messages)) for seen in found), default=0)
        lines = (
            (seen.updated[:19].replace("T", " "), f"{seen.messages:>{width}} messages", seen.key) for seen in found
        )
        print_lines(clean("  ".join(line)) for line in lines)


@sessions.command()
def show(context: typer.Context, key: Key, as_json: Json = False) -> None:
    """Show a conversation; with --json its records."""
    with plain_faults():
        path = find_session(load(context.obj).workspace, key)
        if as_json:
            print_array(_records(path))
        else:
            print_lines(as_screen(read_lines(path)))


@sessions.command()
def search(context: typer.Context, words: list[str], as_json: Json = False) -> None:
    """Find the messages that hold all the words, in any case."""
    query = parse_query(" ".join(words))
    if query is None:
        raise typer.BadParameter("give at least one word")
    with plain_faults():
        print_hits(list_files(load(context.obj).workspace), query, as_json=as_json)


@sessions.command()
def verify(context: typer.Context, key: AnyKey = None, as_json: Json = False) -> None:
    """Check every record against those before it; exit 1 if anything is damaged."""
    with plain_faults():
        damaged = report_findings(_chosen(load(context.obj).workspace, key), as_json=as_json)
    raise typer.Exit(1 if damaged else 0)


@sessions.command()
def repair(context: typer.Context, key: AnyKey = None) -> None:
    """Move damaged bytes to FILE.quarantine; exit 1 if damage is left."""
    workspace = load(context.obj).workspace
    with plain_faults():
        if not list_files(workspace):
            return
        with alone_in(workspace) as busy:
            damaged = ask_for_repair(workspace, key, busy) if busy else repair_files(_chosen(workspace, key))
    raise typer.Exit(1 if damaged else 0)


@sessions.command()
def export(
    context: typer.Context,
    key: Key,
    output_format: Annotated[
        Format, typer.Option("--format", help="The file as it is, or for reading.")
    ] = Format.JSONL,
    output: Annotated[Path | None, typer.Option(help="A new file; else stdout.", show_default=False)] = None,
) -> None:
    """Write a session out, as it is or as Markdown."""
    with plain_faults():
        path = find_session(load(context.obj).workspace, key)
        export_session(path, markdown=output_format is Format.MARKDOWN, output=output)


@sessions.command("import")
def import_file(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A session of ZeroClaw or nanobot (JSON Lines).")],
    channel: Part = None,
    account: Part = None,
    chat: Part = None,
    sender: Part = None,
) -> None:
    """Bring another agent's conversation in, as history that nobody answers."""
    settings = load(context.obj)
    given = KeyParts(channel, account, chat, sender)
    by_sender = settings.channels_config.session_scope == "sender"
    with plain_faults(), alone_in(settings.workspace) as busy:
        folder = settings.workspace / "sessions"
        found = prepare_import(file, folder, given, by_sender=by_sender)
        if busy and found.send(settings.workspace) is None:
            raise busy
        if not busy:
            make_folder(folder)
            found.write()
        found.report()


def _chosen(workspace: Path, key: str | None) -> list[Path]:
    return list_files(workspace) if key is None else [find_session(workspace, key)]


def _records(path: Path) -> Iterator[object]:
    for line in read_lines(path):
        if line.content and line.content.strip() and not isinstance(parse_line(line.content), Damaged):
            yield json.loads(line.content)

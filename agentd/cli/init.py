"""`agentd init`: the wizard that asks a newcomer a few questions and writes the configuration."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from agentd.cli.init_asking import AskingEnded, NotThat, Talk
from agentd.cli.init_channels import Enrolled, ask_channels
from agentd.cli.init_file import Section, check_place, render, write_new
from agentd.cli.init_model import ask_model
from agentd.cli.sessions_files import plain_faults
from agentd.errors import AgentdError
from agentd.log import LogSettings, configure_log
from agentd.settings import SEARCH, find_file, load_given

__all__ = ["init"]

Output = Annotated[
    Path | None,
    typer.Option(metavar="PATH", help="Write there; else where --config or $AGENTD_CONFIG says, or ./config.toml."),
]


def init(context: typer.Context, output: Output = None) -> None:
    """Ask a few questions, and write the configuration; nothing is written before the last answer."""
    path = output or context.obj or Path(os.environ.get("AGENTD_CONFIG") or SEARCH[0])
    with plain_faults():
        check_place(path)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="surrogateescape")
    configure_log(LogSettings(level="warning"), sys.stderr)
    talk = Talk(sys.stdin)
    try:
        written, channels = _ask_and_write(talk, path)
    except AskingEnded:
        raise AgentdError(
            "the answers have ended before the questions: nothing was written; "
            "run agentd init on a terminal, or give it one answer a line"
        ) from None
    except KeyboardInterrupt:
        talk.say("", "Nothing was written. Run agentd init to start over.")
        raise
    _say_how_to_go_on(talk, written, channels)


def _ask_and_write(talk: Talk, path: Path) -> tuple[Path, Sequence[Enrolled]]:
    given = load_given(os.environ)
    talk.say(
        f"A few questions; then {path} is written. Enter alone takes what stands in [brackets]; Ctrl-C leaves.", ""
    )
    channels = ask_channels(talk, given.channels_config)
    is_kind_given = "provider.kind" in given.given
    model, name = ask_model(talk, given.provider, is_kind_given=is_kind_given)
    text = render(_sections(channels, model, name))
    while True:
        try:
            write_new(path, text, os.environ)
        except OSError as fault:
            taken, refused = (
                "has come into being meanwhile, and is left as it is",
                f"cannot be written: {fault.strerror}",
            )
            talk.say("", f"{path} {taken if os.path.lexists(path) else refused}.")
            path = talk.ask("Write to", _parse_path)
        else:
            return path, channels


def _parse_path(answer: str) -> Path:
    if not answer:
        raise NotThat("write a path, for example other.toml")
    try:
        path = Path(answer).expanduser()
    except RuntimeError:
        raise NotThat("nobody here has that home: write the path without ~") from None
    if os.path.lexists(path):
        raise NotThat(f"{path} exists already, and is left as it is: write another")
    return path


def _sections(channels: Sequence[Enrolled], model: dict[str, object], name: str) -> Iterator[Section]:
    for channel in channels:
        comment = f"{channel.title}: {channel.introduction.who}"
        yield Section(comment, f"channels_config.{channel.name}", channel.values)
    if not channels:
        yield Section("No platform: the console, which is on where there is no other channel", "channels_config", {})
    yield Section(f"The model that answers: {name}" + ("" if model else ", the default"), "provider", model)


def _say_how_to_go_on(talk: Talk, path: Path, channels: Sequence[Enrolled]) -> None:
    command, found = _command(), find_file(None, os.environ, SEARCH)
    is_found = found is not None and found.absolute() == path.absolute()
    is_made = is_found and command == ".venv/bin/agentd" and Path("Makefile").exists()
    config = "" if is_found else f" --config {quote(str(path))}"
    run = "make run" if is_made else f"{command}{config} run"
    talk.say("", f"{path} is written; nobody else may read it.", "", f"  Start the daemon:  {run}")
    for channel in channels:
        if channel.introduction.way:
            talk.say(f"  {channel.title}:  {channel.introduction.way}")
    if any(channel.pairs for channel in channels):
        talk.say(f"  It shows a code. Let yourself in, in another terminal:  {command}{config} pair approve CODE")


def _command() -> str:
    """Return how this program was called, as short as works from this folder, quoted for a shell."""
    called = Path(sys.argv[0])
    if shutil.which(called.name) == str(called):
        return quote(called.name)
    try:
        return quote(str(called.absolute().relative_to(Path.cwd())))
    except ValueError:
        return quote(str(called))

"""The command line: reads the words, loads the settings, and turns every expected fault into one line."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from agentd.cli.run import run_daemon
from agentd.cli.version import print_version
from agentd.errors import AgentdError

__all__ = ["main"]

app = typer.Typer(
    help="Talk to a language model from your messengers, for years.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; else it is looked for.", show_default=False)
]


@app.callback()
def choose(context: typer.Context, config: ConfigOption = None) -> None:
    """Keep what is given before the command."""
    context.obj = config


@app.command()
def run(context: typer.Context) -> None:
    """Run the daemon in the foreground."""
    run_daemon(context.obj, os.environ)


@app.command()
def chat(context: typer.Context) -> None:
    """Run with the console channel alone."""
    run_daemon(context.obj, os.environ, only_console=True)


@app.command()
def version() -> None:
    """Print the version."""
    print_version()


def main() -> None:
    """Run a command; exit codes: 0 done, 1 failed, 2 usage, 75 workspace busy, 78 configuration."""
    try:
        app()
    except AgentdError as fault:
        sys.stderr.write(f"agentd: {fault}\n")
        sys.exit(fault.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)

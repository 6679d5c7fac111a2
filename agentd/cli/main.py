"""The command line's entry point: builds the commands, and turns every expected error into one line and an exit code.

Everything else is imported inside `main`, so that an interrupt during that second is handled too.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    import typer

__all__ = ["main"]

LAST_STREAM = 2
"""The descriptor of stderr."""


def main() -> None:
    """Run a command; exit codes: 0 done, 1 failed, 2 usage, 75 workspace busy, 78 configuration."""
    try:
        _open_missing_streams()
        _run_command()
    except KeyboardInterrupt:
        sys.exit(130)


def _run_command() -> None:
    _load_plainly("structlog", "httpx")
    from agentd.errors import AgentdError
    from agentd.log import open_log_stream

    sys.stderr = open_log_stream(sys.stderr)
    try:
        words = sys.argv[1:]
        _build_app(words)(words)
    except AgentdError as fault:
        sys.stderr.write(f"agentd: {fault}\n")
        sys.exit(fault.exit_code)


def _load_plainly(*modules: str) -> None:
    """Import modules that would import rich if it is installed, for tracebacks and output that are not used here."""
    if "rich" in sys.modules:
        return
    sys.modules["rich"] = cast("ModuleType", None)
    try:
        for module in modules:
            import_module(module)
    finally:
        del sys.modules["rich"]


def _build_app(words: Sequence[str]) -> typer.Typer:
    """Return the commands; for `run` only the daemon's own, since a daemon keeps in memory what it imported."""
    import typer

    from agentd.cli.run import chat, keep_config, run

    app = typer.Typer(
        help="Talk to a language model from your messengers, for years.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(keep_config)
    app.command()(run)
    app.command()(chat)
    if not _is_for_daemon(words):
        _add_others(app)
    return app


def _is_for_daemon(words: Sequence[str]) -> bool:
    """Tell whether the command is `run`."""
    given = words[2:] if words[:1] == ["--config"] else words
    return given[:1] == ["run"]


def _add_others(app: typer.Typer) -> None:
    from agentd.cli.check import check
    from agentd.cli.init import init
    from agentd.cli.memory import memory
    from agentd.cli.pair import pair
    from agentd.cli.people import people
    from agentd.cli.service import service
    from agentd.cli.sessions import sessions
    from agentd.cli.status import status
    from agentd.cli.tasks import tasks
    from agentd.cli.trace import trace
    from agentd.cli.version import print_version
    from agentd.cli.worker import worker

    app.command()(init)
    app.command()(check)
    app.command()(worker)
    app.command()(status)
    app.command()(trace)
    app.command("version")(print_version)
    app.add_typer(sessions, name="sessions")
    app.add_typer(pair, name="pair")
    app.add_typer(people, name="people")
    app.add_typer(tasks, name="tasks")
    app.add_typer(memory, name="memory")
    app.add_typer(service, name="service")


def _open_missing_streams() -> None:
    """Open /dev/null for a missing standard stream; otherwise one of our files would get its number."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STREAM:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, "r", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)

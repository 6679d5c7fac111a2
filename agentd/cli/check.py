"""`agentd check`: checks whether the daemon can run as configured, and says what to change if not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from agentd.cli.check_finding import Finding, failed, fine
from agentd.cli.check_live import ask_all, look_at_all
from agentd.cli.check_machine import look_at_disk, look_at_lock, look_at_modes, look_at_port
from agentd.cli.screen import clean, print_array, print_lines
from agentd.cli.sessions_files import load
from agentd.errors import ConfigError
from agentd.settings import SEARCH, Settings, find_file

__all__ = ["check"]

Offline = Annotated[bool, typer.Option("--offline", help="Ask no platform, no model and no database.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON array.")]


def check(context: typer.Context, offline: Offline = False, as_json: Json = False) -> None:
    """Look at configuration, tokens, model, disk and lock, and say what to do; works beside a running daemon."""
    file = find_file(context.obj, os.environ, SEARCH)
    try:
        settings = load(context.obj)
    except ConfigError as fault:
        if as_json:
            print_array([asdict(failed("configuration", clean(str(fault))))])
        raise
    found = _look(settings, file, offline=offline)
    if as_json:
        print_array(asdict(finding) for finding in found)
    else:
        print_lines(_lines(found))
    if any(finding.state == "failed" for finding in found):
        raise typer.Exit(1)


def _look(settings: Settings, file: Path | None, *, offline: bool) -> Sequence[Finding]:
    where = f"{file.absolute()}" if file else "no config.toml was found: defaults, and the environment"
    return (
        fine("configuration", where),
        *(look_at_all(settings) if offline else ask_all(settings)),
        look_at_disk(settings.workspace),
        look_at_modes(settings, file),
        *look_at_port(settings.service.metrics_listen),
        look_at_lock(settings.workspace),
    )


def _lines(found: Sequence[Finding]) -> list[str]:
    width = max(len(finding.check) for finding in found)
    return [clean(f"{finding.state:<7}  {finding.check:<{width}}  {finding.text}") for finding in found]

"""`agentd version`."""

from __future__ import annotations

from importlib.metadata import version

import typer

__all__ = ["print_version"]


def print_version() -> None:
    """Print the installed version."""
    typer.echo(f"agentd {version('agentd')}")

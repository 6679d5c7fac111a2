"""`agentd version`: prints the installed version."""

from __future__ import annotations

from importlib.metadata import version

from agentd.cli.screen import print_lines

__all__ = ["print_version"]


def print_version() -> None:
    """Print the installed version."""
    print_lines([f"agentd {version('agentd')}"])

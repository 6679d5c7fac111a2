"""`agentd worker`: runs background tasks in a process of its own, from a PostgreSQL shared with the daemon."""

from __future__ import annotations

import asyncio
import sys

import typer

from agentd.app.working import open_work
from agentd.cli.sessions_files import load
from agentd.errors import ConfigError
from agentd.log import configure_log
from agentd.service.figures import open_figures
from agentd.settings import Settings
from agentd.tasks.alone import work_alone

__all__ = ["run_worker", "worker"]


def worker(context: typer.Context) -> None:
    """Do background tasks alone, on this or another machine; needs storage.url."""
    settings = load(context.obj)
    configure_log(settings.log, sys.stderr)
    run_worker(settings)


def run_worker(settings: Settings) -> None:
    """Do background tasks until SIGTERM or SIGINT. Raises the classes of agentd.errors."""
    if not settings.storage.url.get_secret_value():
        raise ConfigError(
            "storage.url: a worker needs a PostgreSQL that it shares with the daemon, for example "
            "postgresql://agentd@db/agentd; without one the daemon does its background tasks itself"
        )
    if not settings.memory.enabled:
        raise ConfigError("memory.enabled: is false, so that there are no background tasks: set it to true here too")
    with open_figures(settings.service.metrics_listen) as figures:
        asyncio.run(work_alone(lambda leaving: open_work(settings, figures, leaving), settings.service.drain_seconds))

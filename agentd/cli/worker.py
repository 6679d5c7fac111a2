"""`agentd worker`: background tasks alone, where they are kept on a PostgreSQL that several share."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import typer

from agentd.cli.sessions_files import load
from agentd.errors import AgentdError, ConfigError
from agentd.settings import Settings
from agentd.tasks.alone import work_alone
from agentd.tasks.measuring import build_gauges
from agentd.tasks.queue import Job

__all__ = ["run_worker", "worker"]


def worker(context: typer.Context) -> None:
    """Do background tasks alone, on this or another machine; needs storage.url."""
    run_worker(load(context.obj), {})


def run_worker(settings: Settings, jobs: Mapping[str, Job]) -> None:
    """Do these tasks until SIGTERM or SIGINT. Raises the classes of agentd.errors."""
    if not settings.storage.url.get_secret_value():
        raise ConfigError(
            "storage.url: a worker needs a PostgreSQL that it shares with the daemon, for example "
            "postgresql://agentd@db/agentd; without one the daemon does its background tasks itself"
        )
    if not jobs:
        raise AgentdError(
            "this version of agentd has no background tasks that a worker could do: agentd run needs none"
        )
    from agentd.service.metrics import build_metrics, serve_metrics  # no other command needs the library that counts

    metrics = build_metrics()
    with serve_metrics(metrics, settings.service.metrics_listen):
        asyncio.run(
            work_alone(
                settings.storage.url, settings.tasks, jobs, settings.service.drain_seconds, build_gauges(metrics)
            )
        )

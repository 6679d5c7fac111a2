"""`agentd run` and `agentd chat`: run the daemon in the foreground."""

from __future__ import annotations

import asyncio
import faulthandler
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Annotated, TypeVar, cast

import typer

from agentd.app import Edges, serve
from agentd.errors import AgentdError
from agentd.log import LogSettings, configure_log
from agentd.service.fuse import Fuse
from agentd.service.notifying import build_notifier
from agentd.settings import Settings, load_settings
from channels.errors import ChannelFailed

__all__ = ["chat", "keep_config", "run", "run_daemon"]

T = TypeVar("T", bound=BaseException)

SWITCH_SECONDS = 0.0005
"""How long a flushing thread waits at most for a computing one; Python's default of 0.005 is longer than a flush."""

ConfigOption = Annotated[
    Path | None, typer.Option("--config", help="The configuration file; else it is looked for.", show_default=False)
]


def keep_config(context: typer.Context, config: ConfigOption = None) -> None:
    """Store the options before the command."""
    context.obj = config


def run(context: typer.Context) -> None:
    """Run the daemon in the foreground."""
    run_daemon(context.obj, os.environ)


def chat(context: typer.Context) -> None:
    """Run with the console channel alone."""
    run_daemon(context.obj, os.environ, only_console=True)


def run_daemon(config: Path | None, environ: Mapping[str, str], *, only_console: bool = False) -> None:
    """Load the settings and serve until the end. Raises the classes of agentd.errors."""
    settings = load_settings(config, environ)
    names = ("console",) if only_console else settings.channels_config.enabled
    configure_log(_log_settings(settings, names), sys.stderr)
    ended_by: AgentdError | None = None
    try:
        _serve(
            settings,
            names,
            Edges(
                notifier=build_notifier(environ),
                load=lambda: load_settings(config, environ),
                configure_log=lambda changed: configure_log(_log_settings(changed, names), sys.stderr),
                burn=Fuse().burn,
            ),
        )
    except* AgentdError as faults:
        ended_by = _first(faults)
    except* ChannelFailed as faults:
        ended_by = AgentdError(str(_first(faults)))
    # Outside of the block, since an exception raised inside `except*` may come out wrapped in another group.
    if ended_by is not None:
        raise ended_by


def _serve(settings: Settings, names: tuple[str, ...], edges: Edges) -> None:
    _note_missing("sniffio")
    faulthandler.enable(sys.stderr.fileno())  # the watchdog sends SIGABRT, which this turns into a stack dump
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        try:
            runner.run(serve(settings, names, edges))
        finally:
            # The loop removes its handlers when it closes; a signal after that must not change how this ended.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                runner.get_loop().remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)


def _note_missing(module: str) -> None:
    """Make imports of an optional module that is not installed fail at once.

    httpcore tries one several times with each request, and searches the whole path each time: measured, 3 ms of CPU a
    turn.
    """
    if find_spec(module) is None:
        sys.modules[module] = cast(ModuleType, None)


def _log_settings(settings: Settings, names: tuple[str, ...]) -> LogSettings:
    """Return the log's settings; beside a chat the log shows warnings only, unless the operator chose a level."""
    if "console" in names and sys.stderr.isatty() and "log.level" not in settings.given:
        return settings.log.model_copy(update={"level": "warning"})
    return settings.log


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop factory if the extra `speed` is installed; None for Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _first(faults: BaseExceptionGroup[T]) -> T:
    """Return the first fault of a group: task groups wrap what their body raises."""
    for fault in faults.exceptions:
        return _first(fault) if isinstance(fault, BaseExceptionGroup) else fault
    raise RuntimeError("an exception group without exceptions")

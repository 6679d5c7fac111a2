"""`agentd run` and `agentd chat`: the daemon in the foreground."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from agentd.app import serve
from agentd.errors import AgentdError
from agentd.log import LogSettings, configure_log
from agentd.settings import Settings, load_settings

__all__ = ["run_daemon"]


def run_daemon(config: Path | None, environ: Mapping[str, str], *, only_console: bool = False) -> None:
    """Load the settings and serve until the end. Raises the classes of agentd.errors."""
    settings = load_settings(config, environ)
    names = ("console",) if only_console else settings.channels_config.enabled
    configure_log(_log_settings(settings, names), sys.stderr)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(serve(settings, names))
    except* AgentdError as faults:
        raise _first(faults) from None


def _log_settings(settings: Settings, names: tuple[str, ...]) -> LogSettings:
    """Return the log's settings; a log beside a chat shows warnings only, unless the operator chose a level."""
    if "console" in names and sys.stderr.isatty() and "log.level" not in settings.given:
        return settings.log.model_copy(update={"level": "warning"})
    return settings.log


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's loop where the extra `speed` is installed; None for Python's own."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _first(faults: BaseExceptionGroup[AgentdError]) -> AgentdError:
    """Return one of the faults: task groups wrap what their body raises, and the first says enough."""
    for fault in faults.exceptions:
        return _first(fault) if isinstance(fault, BaseExceptionGroup) else fault
    raise RuntimeError("an exception group without exceptions")

"""The log: events with values, on stderr, for people on a terminal and for machines elsewhere.

An event is a short past-tense name. Nothing above `debug` carries the text of a message; secrets are carried by
nothing.
"""

from __future__ import annotations

import logging
from typing import Literal, TextIO

import stamina.instrumentation
import structlog
from pydantic import BaseModel, ConfigDict

__all__ = ["LogSettings", "configure_log"]


class LogSettings(BaseModel):
    """The section `[log]`; `auto` is console on a terminal and JSON otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


def configure_log(settings: LogSettings, stream: TextIO) -> None:
    """Send every event to `stream`, this process's only log; libraries' own logs from `warning` on."""
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    for_people = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    renderer: structlog.typing.Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if for_people:
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(),
            exception_formatter=structlog.dev.plain_traceback,  # the default prints every local variable
        )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people),
    ]
    if not for_people:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _quieten_libraries(stream)


def _quieten_libraries(stream: TextIO) -> None:
    """Keep what libraries log below warnings out: some of them print what they were given."""
    logging.basicConfig(level=logging.WARNING, stream=stream, force=True, format="%(levelname)s %(name)s %(message)s")
    stamina.instrumentation.set_on_retry_hooks([])

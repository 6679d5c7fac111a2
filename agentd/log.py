"""The log: events with values, on stderr, for people on a terminal and for machines elsewhere.

An event is a short past-tense name. Nothing above `debug` carries the text of a message; secrets are carried by
nothing.
"""

from __future__ import annotations

import io
import logging
import os
import select
from contextlib import suppress
from typing import TYPE_CHECKING, Literal, TextIO

import stamina.instrumentation
import structlog
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["LogSettings", "configure_log", "open_log_stream"]

PATIENCE_MS = 100
"""How long one line waits for a reader that is slow; those after it do not wait until it reads again."""


class LogSettings(BaseModel):
    """The section `[log]`; `auto` is console on a terminal and JSON otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class _Dropping(io.RawIOBase):
    """Writes what a descriptor takes and drops the rest: nobody's reading the log must not end or hold up anything."""

    def __init__(self, descriptor: int) -> None:
        """Write to an open descriptor, past any buffer."""
        super().__init__()
        self._descriptor = descriptor
        self._patience_ms = PATIENCE_MS
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, content: ReadableBuffer, /) -> int:
        """Take all of it, in parts of the size that a pipe takes at once when it is ready for any."""
        left = memoryview(content)
        with suppress(OSError):
            while left and self._is_ready():
                left = left[os.write(self._descriptor, left[: select.PIPE_BUF]) :]
        return memoryview(content).nbytes

    def _is_ready(self) -> bool:
        ready = bool(self._poll.poll(self._patience_ms))
        self._patience_ms = PATIENCE_MS if ready else 0
        return ready


def open_log_stream(stream: TextIO) -> TextIO:
    """Return a stream of lines to the same place, on which writing never fails and hardly ever waits."""
    raw = io.BufferedWriter(_Dropping(stream.fileno()))
    return io.TextIOWrapper(raw, encoding=stream.encoding, errors="backslashreplace", line_buffering=True)


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

"""Configures the log: events with values, on stderr, as JSON or for a terminal, with secrets and control characters
removed.

An event is a short past-tense name. Nothing above `debug` carries the text of a message. No event carries a secret, and
what looks like one, in a library's exception perhaps, is blotted out here at the latest. Values come from outside too
(a server's words, a file's name): nothing in them begins a line, or steers a terminal. What libraries log becomes an
event too.
"""

from __future__ import annotations

import io
import logging
import os
import re
import select
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal, TextIO

import stamina.instrumentation
import structlog
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["LogSettings", "configure_log", "open_log_stream"]

PATIENCE_MS = 100
"""How long one line waits for a slow reader; the following ones do not wait until it reads again."""


_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, those that end a line or change the direction of writing, and lone surrogates."""


_SECRET = re.compile(
    r"(?<=ticket=)[^&\s'\"]+"  # Slack's, in the address of a connection
    r"|\bxox[a-z]-[\w-]{8,}|\bxapp-[\w-]{8,}"
    r"|(?:\b|(?<=bot))\d{5,12}:[\w-]{20,}"  # Telegram's, in every address
    r"|(?<![\w-])[MNO][\w-]{22,27}\.[\w-]{6}\.[\w-]{27,}"  # Discord's, whose first part is a number in base64
    r"|\bsk-[\w-]{8,}"
    r"|(?<=(?i:bearer) )(?!\[key\](?![\w-]))[^\s'\"]+"  # unless it is taken out already (`providers/faults.py`)
    r"|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"
)
"""Tokens of the platforms, keys of providers, and a name with a password in an address."""

_HINT = re.compile("[-:=.]|bearer ", re.IGNORECASE)
"""Every secret contains one of these, or stands beside one; ordinary values hardly ever do. For speed."""

BLOT = "(blotted out)"


class LogSettings(BaseModel):
    """The section `[log]`; `auto` is console on a terminal and JSON otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "console", "json"] = "auto"


class _Dropping(io.RawIOBase):
    """Writes what the descriptor takes and drops the rest: a log that nobody reads must not end or delay anything."""

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
        """Write all of it, in parts that a ready pipe takes at once; what it does not take is dropped."""
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
    """Return a line stream to the same place; writing to it never fails, and hardly ever waits."""
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
            exception_formatter=_print_traceback,  # the default prints every local variable
        )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if for_people else "iso", utc=not for_people),
    ]
    if not for_people:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, _defuse, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    _quieten_libraries()


def _quieten_libraries() -> None:
    """Drop what libraries log below warnings: some of them print what they were given."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Bridge(logging.WARNING)], force=True)
    stamina.instrumentation.set_on_retry_hooks([])


class _Bridge(logging.Handler):
    """Turns what a library logs into an event."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record as an event; one whose text cannot be formatted is logged unformatted."""
        try:
            said = record.getMessage()
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            said = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        level = max(logging.WARNING, min(record.levelno // 10 * 10, logging.CRITICAL))  # structlog knows no other
        structlog.get_logger().log(level, "library_logged", logger=record.name, said=said, exc_info=record.exc_info)


def _defuse(logger: object, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Remove secrets from the values, and escape what could pass for another line or steer a terminal."""
    del logger, method
    return {name: value if name == "exc_info" else _harmless(value) for name, value in event.items()}


def _harmless(value: object) -> object:
    match value:
        case str():
            blotted = _SECRET.sub(BLOT, value) if _HINT.search(value) else value
            return blotted if blotted.isprintable() else _STEERING.sub(_escaped, blotted)
        case list() | tuple():
            return [_harmless(item) for item in value]
        case dict():
            return {_harmless(name): _harmless(item) for name, item in value.items()}
        case None | int() | float():
            return value
        case _:
            return _harmless(repr(value))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def _print_traceback(stream: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    """Print a traceback below its event, indented, so that no line of an exception's text passes for an event."""
    plain = io.StringIO()
    structlog.dev.plain_traceback(plain, exc_info)
    stream.write("\n")
    stream.write("\n".join(f"    {_harmless(line)}" for line in plain.getvalue().strip("\n").split("\n")))

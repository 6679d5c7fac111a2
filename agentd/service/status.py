"""Builds the answer to `agentd status`: channels, models, sessions, tasks and memory size of the running daemon."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agentd.service.control import Caller
from agentd.service.reporting import Line
from channels.health import Health

__all__ = ["ChannelStatus", "ModelStatus", "Status", "Views", "Watch", "describe_channel", "say_status"]

_STATM = Path("/proc/self/statm")


class ChannelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One channel; `silent_seconds` is the time since its platform last answered, None: it has not yet."""

    name: str
    silent_seconds: float | None
    fault: str
    counts: dict[str, int]
    """Numbers of ignored events, by kind."""
    restarts: int = 0
    """How often it was restarted."""
    is_missing: bool = False
    """Whether it is unreachable now."""


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers people, or a fallback, by its section in the settings; `fault` is its last one."""

    name: str
    model: str
    fault: str
    pause_seconds: float
    """How long it will not be asked yet."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole daemon; `waiting` counts the unanswered messages of the sessions in memory."""

    version: str
    uptime_seconds: float
    rss_bytes: int
    sessions: int
    waiting: int
    channels: list[ChannelStatus]
    models: list[ModelStatus] = []
    stage: str = ""
    """`starting`, `ready`, `degraded` or `stopping`."""
    stuck: list[str] = []
    """What makes no progress, because of which the watchdog is not fed."""
    tasks: dict[str, int] = {}
    """Background tasks by state, as of the queue's last sweep."""


@dataclass(frozen=True, slots=True)
class Views:
    """The sources of a status."""

    channels: Callable[[], list[ChannelStatus]]
    count: Callable[[], tuple[int, int]]
    """Returns the numbers of sessions in memory, and of messages waiting in them."""
    models: Callable[[], list[ModelStatus]]
    stage: Callable[[], str] = lambda: ""
    stuck: Callable[[], list[str]] = list
    tasks: Callable[[], dict[str, int]] = dict


class Watch:
    """Answers the command `status` on the control socket."""

    def __init__(self, version: str, views: Views, monotonic: Callable[[], float]) -> None:
        """Count the uptime from now."""
        self._version = version
        self._views = views
        self._monotonic = monotonic
        self._began = monotonic()

    def look(self) -> Status:
        """Return the present status."""
        sessions, waiting = self._views.count()
        return Status(
            version=self._version,
            uptime_seconds=round(self._monotonic() - self._began, 1),
            rss_bytes=_rss_bytes(),
            sessions=sessions,
            waiting=waiting,
            channels=self._views.channels(),
            models=self._views.models(),
            stage=self._views.stage(),
            stuck=self._views.stuck(),
            tasks=self._views.tasks(),
        )

    async def tell(self, request: Mapping[str, object], caller: Caller) -> int:
        """Send the status as one line of JSON."""
        del request
        await caller.say(json.dumps(msgspec.to_builtins(self.look())))
        return 0


def say_status(status: Status) -> list[str]:
    """Return the status in lines for people."""
    lines = [
        f"agentd {status.version}, up {_span(status.uptime_seconds)}, {status.rss_bytes / 1024**2:.0f} MB"
        + (f", {status.stage}" if status.stage else ""),
        f"sessions in memory: {status.sessions}, messages waiting: {status.waiting}",
    ]
    if status.tasks:
        lines.append(
            "background tasks: " + ", ".join(f"{count} {state}" for state, count in sorted(status.tasks.items()))
        )
    lines += [f"stuck: {sentence}" for sentence in status.stuck]
    for channel in status.channels:
        heard = "not heard from yet" if channel.silent_seconds is None else f"heard {_span(channel.silent_seconds)} ago"
        lines.append(f"{channel.name}: {channel.fault or 'well'} ({heard})")
        lines += [f"    restarted {channel.restarts} times"] if channel.restarts else []
        lines += [f"    passed over, {what}: {times}" for what, times in sorted(channel.counts.items())]
    for model in status.models:
        pause = f" (not asked for another {_span(model.pause_seconds)})" if model.pause_seconds else ""
        lines.append(f"{model.name}, {model.model}: {model.fault or 'well'}{pause}")
    return lines


def describe_channel(health: Health, line: Line, restarts: int) -> ChannelStatus:
    """Return one channel's part of a status."""
    silent_seconds = health.silent_seconds
    return ChannelStatus(
        name=line.name,
        silent_seconds=None if silent_seconds is None else round(silent_seconds, 1),
        fault=line.fault,
        counts=dict(health.counts),
        restarts=restarts,
        is_missing=line.is_missing,
    )


def _rss_bytes() -> int:
    """Return the resident size of this process; 0 if the system does not tell."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _span(seconds: float) -> str:
    """Return a time span in words."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

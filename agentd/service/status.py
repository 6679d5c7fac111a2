"""What the running daemon says of itself: its channels, its sessions, its size."""

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
    """What was passed over, by what it was."""
    restarts: int = 0
    """How often it was begun anew."""
    is_missing: bool = False
    """Whether nobody can be heard there now."""


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model that answers people, or stands in for one, by the section that names it; `fault` is its last one."""

    name: str
    model: str
    fault: str
    pause_seconds: float
    """For how long it is not asked."""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole daemon; `waiting` are the messages that no reply was made for yet, of the sessions in memory."""

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
    """What makes no progress, so that the supervisor is given no sign of life."""
    tasks: dict[str, int] = {}
    """Background tasks by their state, as of the last look at the queue."""


@dataclass(frozen=True, slots=True)
class Views:
    """Where the parts of a status come from."""

    channels: Callable[[], list[ChannelStatus]]
    count: Callable[[], tuple[int, int]]
    """Tells the sessions in memory, and the messages that wait in them."""
    models: Callable[[], list[ModelStatus]]
    stage: Callable[[], str] = lambda: ""
    stuck: Callable[[], list[str]] = list
    tasks: Callable[[], dict[str, int]] = dict


class Watch:
    """Answers the command `status` on the control socket."""

    def __init__(self, version: str, views: Views, monotonic: Callable[[], float]) -> None:
        """Begin now."""
        self._version = version
        self._views = views
        self._monotonic = monotonic
        self._began = monotonic()

    def look(self) -> Status:
        """Return how everything is now."""
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
        """Send it as one line."""
        del request
        await caller.say(json.dumps(msgspec.to_builtins(self.look())))
        return 0


def say_status(status: Status) -> list[str]:
    """Say it in lines for people."""
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
        lines += [f"    begun anew: {channel.restarts} times"] if channel.restarts else []
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
    """Return what of this process is in memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def _span(seconds: float) -> str:
    """Return a time as people say it."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"

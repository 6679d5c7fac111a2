"""Supervises the channels: restarts one that fails or hangs, with backoff, without affecting the daemon or other
channels.

After each failure the pause before the next run grows. A channel that fails again and again is left out, and retried
seldom. A hanging one, whose attempts to reach its platform have no outcome, is cancelled and run again; if that does
not help, `Supervisor.stuck` names it, for the watchdog. Not named is what restarting the process would not help: a
platform that has not answered this process yet, or has only greeted it. If a platform refuses the channel while the
daemon starts, the daemon ends, so that its operator learns of it at once; later it goes on without the channel.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import structlog

from agentd.errors import ConfigError
from agentd.service.reporting import Line
from agentd.service.status import ChannelStatus, describe_channel
from channels.backoff import Growing
from channels.base import Accept, Channel, Places
from channels.errors import ChannelFailed, ChannelUnavailable

__all__ = ["RestartPolicy", "Supervisor"]

STUCK_TIMES = 2
"""A channel is stuck after so many times its patience without an outcome, the repeated run included."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long to wait after a channel failed, and when to leave it out."""

    look_seconds: float = 1.0
    pause: Growing = Growing(1, 60)
    most_falls: int = 5
    """Failures in a row, with no steady run before one, after which the channel is left out."""
    steady_seconds: float = 120.0
    left_out_seconds: float = 900.0
    """How long a channel that was left out waits for its next run."""
    let_go_seconds: float = 5.0
    """How long a cancelled run may take to end."""


@dataclass(slots=True)
class Watched:
    """One channel, and the outcome of its runs."""

    channel: Channel
    began: float
    """When the first run began."""
    restarts: int = 0
    falls: int = 0
    """Failures in a row."""
    fault: str = ""
    """Why it does not run, or was restarted; empty once it is well again."""
    is_left_out: bool = False


@dataclass(slots=True)
class _End:
    """How a run ended."""

    fault: Exception | None = None
    is_stuck: bool = False
    seconds: float = field(default=0.0)


class EndedByItself(Exception):
    """A run returned, though a platform always has more to come."""


class Supervisor:
    """Supervises the channels of one daemon."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        policy: RestartPolicy,
        is_starting: Callable[[], bool] = lambda: True,
        count_restart: Callable[[str], None] = lambda channel: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Set up all channels; `keep` runs each."""
        self._policy = policy
        self._is_starting = is_starting
        self._count_restart = count_restart
        self._monotonic = monotonic
        self._watched = {name: Watched(channel, monotonic()) for name, channel in channels.items()}

    async def keep(self, name: str, accept: Accept, places: Places) -> None:
        """Run a channel, and again whenever it fails, until it has nothing more to receive.

        Raises ConfigError if the platform refuses it while the daemon starts, and ChannelFailed if input was lost.
        """
        watched = self._watched[name]
        watched.began = self._monotonic()
        while True:
            end = await self._run_once(watched, accept, places)
            if end.fault is None and not end.is_stuck:
                return
            if isinstance(end.fault, ChannelFailed):
                raise end.fault
            if _is_refused(watched, end) and self._is_starting():
                raise ConfigError(str(end.fault)) from end.fault
            await asyncio.sleep(self._judge(watched, end))
            watched.restarts += 1
            self._count_restart(name)

    def lines(self) -> Sequence[Line]:
        """Return the state of each channel."""
        return [self._look_at(name, watched) for name, watched in self._watched.items()]

    def statuses(self) -> list[ChannelStatus]:
        """Return the same for `agentd status`."""
        return [
            describe_channel(watched.channel.health, self._look_at(name, watched), watched.restarts)
            for name, watched in self._watched.items()
        ]

    def contacts(self) -> Iterator[tuple[str, float]]:
        """Yield for each channel with a platform how long ago that answered; infinity: not yet."""
        for name, watched in self._watched.items():
            health = watched.channel.health
            if health.patience_seconds is not None:
                yield name, inf if health.silent_seconds is None else health.silent_seconds

    def stuck(self) -> list[str]:
        """Return the channels that were reached once, and hang even after having been run again."""
        return [name for name, watched in self._watched.items() if self._is_stuck(watched)]

    def _is_stuck(self, watched: Watched) -> bool:
        health = watched.channel.health
        if health.patience_seconds is None or not health.is_heard or watched.is_left_out:
            return False
        return health.overdue_seconds(watched.began) > (STUCK_TIMES - 1) * health.patience_seconds

    async def _run_once(self, watched: Watched, accept: Accept, places: Places) -> _End:
        """Run it until it ends, fails or hangs."""
        end, began = _End(), self._monotonic()
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(_run(watched.channel, accept, places, end), name=watched.channel.name)
            while not running.done():
                await asyncio.wait([running], timeout=self._policy.look_seconds)
                self._look_for_recovery(watched, began)
                if watched.channel.health.overdue_seconds(began) > 0 and not running.done():
                    await self._cut(watched, running, is_again=end.is_stuck)
                    end.is_stuck = True
        end.seconds = self._monotonic() - began
        if end.fault is None and not end.is_stuck and watched.channel.health.patience_seconds is not None:
            end.fault = EndedByItself()
        return end

    async def _cut(self, watched: Watched, running: asyncio.Task[None], *, is_again: bool) -> None:
        """Cancel a hanging run; no other begins until it has ended. Repeated cancels are not logged."""
        name = watched.channel.name
        watched.fault = f"it was silent for {watched.channel.health.patience_seconds:g} s and is restarted"
        if not is_again:
            log.warning("channel_stuck", channel=name, fault=watched.fault)
        running.cancel()
        await asyncio.wait([running], timeout=self._policy.let_go_seconds)
        if not running.done() and not is_again:
            log.error("channel_holds_on", channel=name)

    def _judge(self, watched: Watched, end: _End) -> float:
        """Record how a run ended; return the pause before the next one in seconds."""
        name = watched.channel.name
        if end.fault is None:
            return 0.0
        watched.falls = 1 if end.seconds >= self._policy.steady_seconds else watched.falls + 1
        reason = str(end.fault) if isinstance(end.fault, ChannelUnavailable) else _kind(end.fault)
        if watched.falls < self._policy.most_falls and not _is_refused(watched, end):
            seconds = self._policy.pause.after(watched.falls - 1)
            watched.fault = f"it fell ({reason}) and is restarted"
            log.error("channel_fell", channel=name, falls=watched.falls, seconds=seconds, exc_info=end.fault)
            return seconds
        watched.is_left_out = True
        times = "once" if watched.falls == 1 else f"{watched.falls} times"
        watched.fault = f"it fell {times} ({reason}) and is left out: see the log"
        log.error(
            "channel_left_out", channel=name, falls=watched.falls, seconds=self._policy.left_out_seconds,
            exc_info=end.fault,
        )  # fmt: skip
        return self._policy.left_out_seconds

    def _look_for_recovery(self, watched: Watched, began: float) -> None:
        """Clear a channel's fault once it is in contact again, and has been steady."""
        contact, name = watched.channel.health.contact, watched.channel.name
        is_heard = contact is not None and contact >= began
        is_steady = self._monotonic() - began >= self._policy.steady_seconds
        if watched.fault and is_heard and (is_steady or not watched.falls):
            log.info("channel_back", channel=name)
            watched.fault, watched.is_left_out, watched.falls = "", False, 0

    def _look_at(self, name: str, watched: Watched) -> Line:
        fault = "; ".join(filter(None, (watched.fault, watched.channel.health.fault)))
        return Line(name, fault, watched.is_left_out or _is_missing(watched.channel))


async def _run(channel: Channel, accept: Accept, places: Places, end: _End) -> None:
    """Run the channel, storing what it raises in `end`: a channel's bugs do not cross this boundary."""
    try:
        await channel.run(accept, places)
    except Exception as fault:  # noqa: BLE001 - the boundary of a channel
        end.fault = fault


def _is_refused(watched: Watched, end: _End) -> bool:
    """Tell whether the platform refused the channel at its first run, or before it ever answered."""
    is_first = watched.restarts == 0 or watched.channel.health.contact is None
    return isinstance(end.fault, ChannelUnavailable) and is_first


def _kind(fault: BaseException) -> str:
    """Return the name of a fault's class; for a group, that of the first fault in it."""
    return _kind(fault.exceptions[0]) if isinstance(fault, BaseExceptionGroup) else type(fault).__name__


def _is_missing(channel: Channel) -> bool:
    """Tell whether the platform has not answered yet, or not for longer than the channel's patience."""
    health = channel.health
    if health.patience_seconds is None:
        return False
    silent_seconds = health.silent_seconds
    return silent_seconds is None or silent_seconds > health.patience_seconds

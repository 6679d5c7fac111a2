"""Keeps every channel heard: one that falls or is stuck is begun anew, and takes neither the daemon nor others with it.

After each fall the pause before the next run grows. A channel that falls again and again is left out, and tried seldom.
One whose attempts have no outcome any more is cut and begun anew; where that does not help, `Supervisor.stuck` names
it, for the watchdog. What a restart of the process cannot mend is not named there: a platform that has not answered
this process yet is away, or was never there, and one that has only greeted it would greet the next one too. A channel
that its platform refuses from the start ends a daemon that starts, so that its operator learns of it at once; one that
has started goes on without it.
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
"""So many times its patience without an outcome, the run that was begun anew included, and a channel counts as stuck.
"""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """How long a channel that fell is left alone."""

    look_seconds: float = 1.0
    pause: Growing = Growing(1, 60)
    most_falls: int = 5
    """One after the other, none of which came after a run that was steady; then it is left out."""
    steady_seconds: float = 120.0
    left_out_seconds: float = 900.0
    """Until one that is left out is tried again."""
    let_go_seconds: float = 5.0
    """How long a run that is cut may take to end."""


@dataclass(slots=True)
class Watched:
    """One channel, and what became of its runs."""

    channel: Channel
    began: float
    """When attempts to hear its platform began."""
    restarts: int = 0
    falls: int = 0
    """One after the other."""
    fault: str = ""
    """Why it is not there, or was begun anew; empty once it is well again."""
    is_left_out: bool = False


@dataclass(slots=True)
class _End:
    """How a run ended."""

    fault: Exception | None = None
    is_stuck: bool = False
    seconds: float = field(default=0.0)


class EndedByItself(Exception):
    """A run ended by itself, though from its platform there is always more to come."""


class Supervisor:
    """Watches over the channels of one daemon."""

    def __init__(
        self,
        channels: Mapping[str, Channel],
        policy: RestartPolicy,
        is_starting: Callable[[], bool] = lambda: True,
        count_restart: Callable[[str], None] = lambda channel: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Know them; none is heard yet."""
        self._policy = policy
        self._is_starting = is_starting
        self._count_restart = count_restart
        self._monotonic = monotonic
        self._watched = {name: Watched(channel, monotonic()) for name, channel in channels.items()}

    async def keep(self, name: str, accept: Accept, places: Places) -> None:
        """Receive until the platform has no more to say, begin anew what falls.

        Raises ConfigError where the platform cannot be had and the daemon starts, ChannelFailed where words were lost.
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
        """Return how each is doing."""
        return [self._look_at(name, watched) for name, watched in self._watched.items()]

    def statuses(self) -> list[ChannelStatus]:
        """Return the same for people."""
        return [
            describe_channel(watched.channel.health, self._look_at(name, watched), watched.restarts)
            for name, watched in self._watched.items()
        ]

    def contacts(self) -> Iterator[tuple[str, float]]:
        """Yield for each channel with a platform how long ago that answered; infinity: it has not yet."""
        for name, watched in self._watched.items():
            health = watched.channel.health
            if health.patience_seconds is not None:
                yield name, inf if health.silent_seconds is None else health.silent_seconds

    def stuck(self) -> list[str]:
        """Name the channels that were heard once, and whose attempts have no outcome though they were begun anew."""
        return [name for name, watched in self._watched.items() if self._is_stuck(watched)]

    def _is_stuck(self, watched: Watched) -> bool:
        health = watched.channel.health
        if health.patience_seconds is None or not health.is_heard or watched.is_left_out:
            return False
        return health.overdue_seconds(watched.began) > (STUCK_TIMES - 1) * health.patience_seconds

    async def _run_once(self, watched: Watched, accept: Accept, places: Places) -> _End:
        """Run it until it ends, falls or is stuck."""
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
        """End a run that is stuck; until it lets go there is no other beside it, and it is cut again without a word."""
        name = watched.channel.name
        watched.fault = f"it was silent for {watched.channel.health.patience_seconds:g} s and is begun anew"
        if not is_again:
            log.warning("channel_stuck", channel=name, fault=watched.fault)
        running.cancel()
        await asyncio.wait([running], timeout=self._policy.let_go_seconds)
        if not running.done() and not is_again:
            log.error("channel_holds_on", channel=name)

    def _judge(self, watched: Watched, end: _End) -> float:
        """Note how a run ended; return after how many seconds the next begins."""
        name = watched.channel.name
        if end.fault is None:
            return 0.0
        watched.falls = 1 if end.seconds >= self._policy.steady_seconds else watched.falls + 1
        reason = str(end.fault) if isinstance(end.fault, ChannelUnavailable) else _kind(end.fault)
        if watched.falls < self._policy.most_falls and not _is_refused(watched, end):
            seconds = self._policy.pause.after(watched.falls - 1)
            watched.fault = f"it fell ({reason}) and is begun anew"
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
        """Take back what was said of a channel once it is heard again, and stays."""
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
    """Receive; what it fell over is kept in `end`: this is the boundary that a channel's bugs do not cross."""
    try:
        await channel.run(accept, places)
    except Exception as fault:  # noqa: BLE001 - the boundary of a channel
        end.fault = fault


def _is_refused(watched: Watched, end: _End) -> bool:
    """Tell whether its platform cannot be had, and never was."""
    is_first = watched.restarts == 0 or watched.channel.health.contact is None
    return isinstance(end.fault, ChannelUnavailable) and is_first


def _kind(fault: BaseException) -> str:
    """Return what kind of fault it is; of a group, the first."""
    return _kind(fault.exceptions[0]) if isinstance(fault, BaseExceptionGroup) else type(fault).__name__


def _is_missing(channel: Channel) -> bool:
    """Tell whether the platform has not answered yet, or not for longer than it may."""
    health = channel.health
    if health.patience_seconds is None:
        return False
    silent_seconds = health.silent_seconds
    return silent_seconds is None or silent_seconds > health.patience_seconds

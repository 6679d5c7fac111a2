"""Reports the daemon's stage (starting, ready, degraded, stopping) to systemd, `/readyz` and the log.

It is ready when recovery is finished or out of time, and every channel has reached its platform once. If a channel does
not within `CONTACT_SECONDS`, the daemon is ready without it, as degraded, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import structlog

from agentd.service.notifying import Notifier
from agentd.service.probing import Probed

__all__ = ["CONTACT_SECONDS", "Line", "Reporter", "Scene", "Stage"]

CONTACT_SECONDS = 60.0

EXTENSION_SECONDS = 10.0
"""How much more time is asked for at once, while the daemon starts or stops."""

START_SECONDS = 900.0
"""How long a start may ask for more time: migrating a big database takes minutes, but what hangs should be
restarted.
"""

log = structlog.get_logger()


class Stage(StrEnum):
    """The daemon's stage."""

    STARTING = "starting"
    READY = "ready"
    DEGRADED = "degraded"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Line:
    """The state of one channel: what is wrong with it, and whether it is unreachable."""

    name: str
    fault: str
    is_missing: bool


@dataclass(frozen=True, slots=True)
class Scene:
    """What can be reported once the daemon's parts exist."""

    lines: Callable[[], Sequence[Line]]
    count: Callable[[], tuple[int, int]]
    """Returns the numbers of sessions in memory, and of messages waiting in them."""
    turns: Callable[[], int]
    """Returns the number of conversations still being finished during a shutdown."""


class Reporter:
    """Notifies the supervisor of each change once."""

    def __init__(
        self, notifier: Notifier, monotonic: Callable[[], float], contact_seconds: float = CONTACT_SECONDS
    ) -> None:
        """Begin in the stage of starting."""
        self.stage = Stage.STARTING
        self._notifier = notifier
        self._monotonic = monotonic
        self._contact_seconds = contact_seconds
        self._scene: Scene | None = None
        self._began = monotonic()
        self._receiving: float | None = None
        self._until: float | None = None
        self._said = ""
        self._is_reloading = False

    def show(self, scene: Scene) -> None:
        """Begin to report on the parts, now that they exist."""
        self._scene = scene

    def receive(self) -> None:
        """Note that recovery is finished, or out of time; the channels run from now on."""
        self._receiving = self._monotonic()

    def stop(self, until: float) -> None:
        """Note that the daemon was asked to stop, and its deadline."""
        self.stage, self._until = Stage.STOPPING, until
        self._said = self._tell_end()
        self._notifier.stop(self._said)

    def reload(self) -> None:
        """Note that the configuration is being reloaded."""
        self._is_reloading = self.stage in (Stage.READY, Stage.DEGRADED)
        if self._is_reloading:
            self._notifier.reload()

    def reloaded(self) -> None:
        """Note that the reload has ended, successful or not."""
        if self._is_reloading and self.stage is not Stage.STOPPING:
            self._notifier.ready(self._said)
        self._is_reloading = False

    def step(self) -> None:
        """Check everything, and report what has changed; called at each beat."""
        if self._is_to_be_waited_for:
            self._notifier.extend(EXTENSION_SECONDS)
        if self._receiving is not None and self.stage is not Stage.STOPPING:
            self._judge(self._receiving)
        sentence = self.sentence
        if sentence != self._said:
            self._said = sentence
            self._notifier.say(sentence)

    def probe(self) -> Probed:
        """Answer `/readyz`; a degraded daemon is not ready."""
        reasons = [f"{line.name}: {line.fault or 'not heard from yet'}" for line in self.missing]
        if self.stage in (Stage.STARTING, Stage.STOPPING):
            reasons = [self.sentence]
        return Probed(self.stage is Stage.READY, self.stage.value, reasons if self.stage is not Stage.READY else ())

    @property
    def missing(self) -> list[Line]:
        """Return the channels that are unreachable."""
        return [line for line in self._lines if line.is_missing]

    @property
    def sentence(self) -> str:
        """Return the status as a sentence."""
        match self.stage:
            case Stage.STARTING if self._receiving is None:
                return "Starting: finishing what the last run left"
            case Stage.STARTING:
                return f"Starting: waiting for {_join(self.missing)}"
            case Stage.STOPPING:
                return self._tell_end()
        heard = [line.name for line in self._lines if not line.is_missing]
        faults = [f"{line.name}: {line.fault or 'not heard from yet'}" for line in self._lines if _is_told(line)]
        sessions, waiting = self._scene.count() if self._scene else (0, 0)
        words = f"Answering on {', '.join(heard)}" if heard else "No channel is there"
        return "; ".join([f"{words} ({sessions} sessions in memory, {waiting} messages waiting)", *faults])

    @property
    def _is_to_be_waited_for(self) -> bool:
        if self.stage is Stage.STARTING:
            return self._monotonic() - self._began < START_SECONDS
        return self.stage is Stage.STOPPING

    @property
    def _lines(self) -> Sequence[Line]:
        return self._scene.lines() if self._scene else ()

    def _judge(self, receiving: float) -> None:
        missing = self.missing
        is_late = self._monotonic() - receiving > self._contact_seconds
        if self.stage is Stage.STARTING and missing and not is_late:
            return
        was, self.stage = self.stage, Stage.DEGRADED if missing else Stage.READY
        if self.stage is was:
            return
        names = [line.name for line in missing]
        if missing:
            log.warning("daemon_degraded", missing=names, faults=[line.fault for line in missing])
        else:
            log.info("daemon_ready")
        if was is Stage.STARTING:
            self._said = self.sentence
            self._notifier.ready(self._said)

    def _tell_end(self) -> str:
        turns = self._scene.turns() if self._scene else 0
        left = max((self._until or 0.0) - self._monotonic(), 0.0)
        return f"Stopping: {turns} conversations to finish, {left:.0f} s at most" if turns else "Stopping"


def _is_told(line: Line) -> bool:
    return line.is_missing or bool(line.fault)


def _join(lines: Sequence[Line]) -> str:
    return ", ".join(line.name for line in lines)

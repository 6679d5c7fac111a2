"""This module delivers events to the app in envelopes, redelivers what is not acked, and gives up at last.

https://docs.slack.dev/apis/events-api#retries: at once, after a minute, and after five; then only the history has it.
A line that breaks fails nothing by itself: until its time is up, an ack may come on another line.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.platforms.slackapi.lines import Lines

Kind = Literal["events_api", "slash_commands"]


@dataclass(slots=True, eq=False)
class Delivery:
    """One event or command, through all its envelopes."""

    kind: Kind
    payload: Mapping[str, Any]
    envelope_ids: list[str] = field(default_factory=list)
    """Of each time that it was sent."""
    awaited: str | None = None
    """The envelope whose ack would count now."""
    retries: int = 0
    state: Literal["open", "acked", "given up"] = "open"
    answer: Mapping[str, Any] | None = None
    """What came with the ack."""

    @property
    def event_id(self) -> str:
        """The event's id; a command has none."""
        return str(self.payload.get("event_id", ""))

    @property
    def event(self) -> Mapping[str, Any]:
        """The event itself; of what has no inner event, nothing."""
        found: Mapping[str, Any] = self.payload.get("event", {})
        return found


class Deliveries:
    """All of them."""

    def __init__(self, lines: Lines, changed: asyncio.Event, refuse: Callable[[str], None]) -> None:
        """Send over these lines; `refuse` notes what an ack must not be."""
        self.ack_seconds = 3.0
        """How long an envelope is waited for."""
        self.retry_seconds: tuple[float, ...] = (0, 60, 300)
        """How long after each failure it is sent again."""
        self.all: list[Delivery] = []
        self.late_acks: list[Delivery] = []
        """Acks that came when their envelope had run out: they count for nothing."""
        self._lines = lines
        self._changed = changed
        self._refuse = refuse
        self._by_envelope: dict[str, Delivery] = {}
        self._timers: dict[Delivery, asyncio.TimerHandle] = {}

    @property
    def open(self) -> list[Delivery]:
        """Return what is waited for, or comes again."""
        return list(self._timers)

    def offer(self, kind: Kind, payload: Mapping[str, Any]) -> Delivery:
        """Begin to deliver."""
        delivery = Delivery(kind, payload)
        self.all.append(delivery)
        self._send(delivery, "")
        return delivery

    def ack(self, envelope_id: str, answer: Mapping[str, Any] | None) -> None:
        """Take an ack, on whatever line it came."""
        delivery = self._by_envelope.get(envelope_id)
        if delivery is None:
            self._refuse(f"ack of an unknown envelope {envelope_id}")
        elif delivery.state == "acked":
            self._refuse(f"second ack of an envelope of {delivery.event_id or 'a command'}")
        elif envelope_id != delivery.awaited:
            self.late_acks.append(delivery)
        else:
            if answer and delivery.kind == "events_api":
                self._refuse(f"ack of the event {delivery.event_id} with a payload, which events do not take")
            delivery.state, delivery.answer, delivery.awaited = "acked", answer, None
            self._timers.pop(delivery).cancel()
        self._changed.set()

    def stop(self) -> None:
        """Send nothing any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _send(self, delivery: Delivery, reason: str) -> None:
        line = self._lines.next()
        if line is None:
            self._fail(delivery, "connection_failed")
            return
        envelope_id = str(uuid.uuid4())
        delivery.envelope_ids.append(envelope_id)
        delivery.awaited = envelope_id
        self._by_envelope[envelope_id] = delivery
        frame: dict[str, Any] = {
            "envelope_id": envelope_id,
            "type": delivery.kind,
            "accepts_response_payload": delivery.kind != "events_api",
            "payload": delivery.payload,
        }
        if delivery.kind == "events_api":
            frame |= {"retry_attempt": delivery.retries, "retry_reason": reason}
        line.send(frame)
        self._after(self.ack_seconds, delivery, lambda: self._fail(delivery, "timeout"))
        self._changed.set()

    def _fail(self, delivery: Delivery, reason: str) -> None:
        """Send again, or give up; nobody retries a command: the person is told that it failed."""
        delivery.awaited = None
        self._changed.set()
        waits = self.retry_seconds if delivery.kind == "events_api" else ()
        if delivery.retries >= len(waits):
            delivery.state = "given up"
            self._timers.pop(delivery, None)
            return
        wait = waits[delivery.retries]
        delivery.retries += 1
        self._after(wait, delivery, lambda: self._send(delivery, reason))

    def _after(self, seconds: float, delivery: Delivery, then: Callable[[], None]) -> None:
        self._timers[delivery] = asyncio.get_running_loop().call_later(seconds, then)

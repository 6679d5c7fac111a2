"""This module counts and logs the events that are not taken in: by reason and kind, without any of their text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog

from channels.health import Health

__all__ = ["Passing", "kind_of"]

log = structlog.get_logger()

MOST_KINDS = 100
"""For so many kinds the first event without a listener is logged at `info`; all further ones at `debug`."""

_LOUD = frozenset({"unparsable", "overflow"})
_UNHEARD = "other"
"""The reason of events that the channel has no use for: the app's settings have subscribed to them."""
_KIND = re.compile(r"[A-Za-z_][\w.]{0,39}", re.ASCII)


class Passing:
    """Counts and logs what is passed over."""

    def __init__(self, health: Health) -> None:
        """Count in `health`."""
        self._health = health
        self._told: set[str] = set()

    def count(self, reason: str, kind: str) -> None:
        """Note that something of this kind was passed over."""
        self._health.counts[reason] += 1
        if reason in _LOUD:
            log.warning("event_not_taken", channel="slack", reason=reason, kind=kind)
        elif reason == _UNHEARD and kind not in self._told and len(self._told) < MOST_KINDS:
            self._told.add(kind)
            log.info("event_without_listener", channel="slack", kind=kind)
        else:
            log.debug("event_passed_over", channel="slack", reason=reason, kind=kind)


def kind_of(envelope: object, payload: object) -> str:
    """Return the kind of an event from Slack's type names, such as `events_api/message/channel_join`."""
    event = payload.get("event") if isinstance(payload, Mapping) else None
    words = (envelope, _word(event, "type") if event else _word(payload, "type"), _word(event, "subtype"))
    return "/".join(word for word in words if isinstance(word, str) and _KIND.fullmatch(word)) or "unknown"


def _word(values: Any, name: str) -> object:
    return values.get(name) if isinstance(values, Mapping) else None

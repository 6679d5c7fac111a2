"""The time stamps of records (RFC 3339, UTC), and the clock as an injected function."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock", "format_time", "parse_time", "utc_now"]

Clock = Callable[[], datetime]
"""Returns the current time, aware, in UTC."""


def utc_now() -> datetime:
    """Return the time now."""
    return datetime.now(UTC)


def format_time(moment: datetime) -> str:
    """Return RFC 3339 in UTC with milliseconds; such texts sort as their times do."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime | None:
    """Parse what `format_time` wrote, or any RFC 3339 time; return None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

"""One result of `agentd check`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "failed", "fine", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the result; that of a failure says what to do about it."""

    check: str
    state: Literal["ok", "failed", "skipped"]
    text: str


def fine(check: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(check, "ok", text)


def failed(check: str, text: str) -> Finding:
    """Return what is wrong, and what to do about it."""
    return Finding(check, "failed", text)


def skipped(check: str, text: str) -> Finding:
    """Return why it was not checked."""
    return Finding(check, "skipped", text)

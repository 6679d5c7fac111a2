"""Renders the systemd unit from its template in `units/`, with this installation's paths and a fingerprint.

A unit whose fingerprint does not match has been changed by a person, or is not ours; it is never replaced.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

__all__ = ["Placing", "is_untouched", "quote", "render_unit"]

HEAD = """\
# Written by `agentd service install`. Changes of your own belong beside it: systemctl edit agentd
# Fingerprint: """

CLOSING_SECONDS = 30
"""What stopping takes at most beyond the drain: background tasks, connections and files."""


@dataclass(frozen=True, slots=True)
class Placing:
    """What differs between the units of two installations."""

    program: Path
    config: Path
    visible: tuple[Path, ...]
    """Folders that the service must see although they are hidden from it by default."""
    drain_seconds: float
    is_personal: bool


def render_unit(placing: Placing) -> str:
    """Return the unit's text."""
    name = "agentd-user.service" if placing.is_personal else "agentd.service"
    text = files("agentd.cli").joinpath("units", name).read_text("utf-8")
    command = f"{quote(placing.program)} --config {quote(placing.config, '$')} run"
    text = _set(text, "ExecStart", command)
    text = _set(text, "TimeoutStopSec", str(round(placing.drain_seconds) + CLOSING_SECONDS))
    if placing.visible:
        shown = " ".join(quote(path, ":") for path in placing.visible)
        text = text.replace("ProtectHome=tmpfs\n", f"ProtectHome=tmpfs\nBindReadOnlyPaths={shown}\n")
    _, _, body = text.partition("\n\n")  # the template's first lines describe the template
    return f"{HEAD}{_fingerprint(body)}\n\n{body}"


def is_untouched(text: str) -> bool:
    """Tell whether a unit is as it was written."""
    if not text.startswith(HEAD):
        return False
    fingerprint, _, body = text.removeprefix(HEAD).partition("\n\n")
    return fingerprint == _fingerprint(body)


def quote(path: Path, special: str = "") -> str:
    """Quote a path for a unit; `special` is `$` within a command's arguments, and `:` where a colon separates."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    if special == "$":
        text = text.replace("$", "$$")
    elif special:
        text = text.replace(special, f"\\{special}")
    return f'"{text}"' if re.search(r"[\s'\"\\;]", text) else text


def _set(text: str, key: str, value: str) -> str:
    return re.sub(rf"^{key}=.*$", lambda _: f"{key}={value}", text, flags=re.MULTILINE)


def _fingerprint(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()

"""Calls systemctl and systemd-analyze: is systemd running and recent enough, is a unit valid, reload, enable,
disable.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from agentd.errors import AgentdError

__all__ = ["Systemd", "find_systemd"]

RUNS = Path("/run/systemd/system")
"""Exists if systemd is the first process (sd_booted(3))."""

OLDEST = 252
"""The oldest version with which the units' directives and credential store were tested: Debian 12."""


@dataclass(frozen=True, slots=True)
class Systemd:
    """The system's manager, or a user's."""

    is_personal: bool

    @property
    def words(self) -> str:
        """The command as a person types it."""
        return "systemctl --user" if self.is_personal else "systemctl"

    def verify(self, name: str, text: str) -> None:
        """Raise AgentdError with what `systemd-analyze verify` finds wrong in a unit."""
        with tempfile.TemporaryDirectory() as folder:
            unit = Path(folder, name)
            unit.write_text(text, encoding="utf-8")
            done = _run("systemd-analyze", *self._whose, "--man=no", "verify", str(unit))
        found = [line.replace(f"{folder}/", "") for line in done.stderr.splitlines() if name in line]
        if done.returncode or found:
            raise AgentdError(f"systemd-analyze verify: {'; '.join(found) or done.stderr.strip()}")

    def ask(self, *words: str) -> None:
        """Run systemctl. Raises AgentdError with its words."""
        done = _run("systemctl", *self._whose, *words)
        if done.returncode:
            why = done.stderr.strip().replace("\n", "; ")
            hint = " (a person's own manager runs where that person has logged in, not after su)"
            raise AgentdError(f"{self.words} {' '.join(words)}: {why}{hint if self.is_personal else ''}")

    @property
    def _whose(self) -> tuple[str, ...]:
        return ("--user",) if self.is_personal else ()


def find_systemd(*, is_personal: bool) -> Systemd:
    """Return the manager. Raises AgentdError if systemd does not run, or is too old."""
    if not RUNS.is_dir():
        raise AgentdError("systemd does not run this machine: let what starts programs here run `agentd run`")
    told = _run("systemctl", "--version").stdout
    version = re.match(r"systemd (\d+)", told)
    if version is None or int(version[1]) < OLDEST:
        raise AgentdError(
            f"systemd {OLDEST} or newer is needed, and this is {told.splitlines()[0] if told else 'none'}"
        )
    return Systemd(is_personal)


def _run(program: str, *words: str) -> subprocess.CompletedProcess[str]:
    path = shutil.which(program)
    if path is None:
        raise AgentdError(f"{program} is missing: install systemd's programs")
    return subprocess.run([path, *words], capture_output=True, text=True, check=False)  # noqa: S603 - no shell, own words

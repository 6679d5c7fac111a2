"""These tests check the machine's uptime: the same for every process until the machine restarts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from agentd.transcript import uptime
from agentd.transcript.uptime import read_uptime

OTHER = "from agentd.transcript.uptime import read_uptime; up = read_uptime(); print(up.boot, up.seconds())"


@pytest.mark.skipif(not uptime.BOOT_ID.exists(), reason="the kernel's /proc is not there")
def test_another_process_counts_on() -> None:
    before = read_uptime()
    at = before.seconds()
    ended = subprocess.run([sys.executable, "-c", OTHER], capture_output=True, text=True, check=True)
    boot, seconds = ended.stdout.split()

    assert boot == before.boot
    assert len(boot) == uptime.BOOT_CHARACTERS
    assert at < float(seconds) <= before.seconds()


def test_setting_the_time_of_day_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = read_uptime().seconds
    before = seconds()
    monkeypatch.setattr(time, "time", lambda: 0.0)

    assert 0 <= seconds() - before < 60


@pytest.mark.parametrize(
    ("variable", "boot"), [("0123456789abcdef0123456789abcdef", "0123456789ab"), ("", ""), (None, "")]
)
def test_where_the_kernel_is_hidden_the_unit_says_which_start_it_is(
    variable: str | None, boot: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(uptime, "BOOT_ID", tmp_path / "hidden")
    monkeypatch.delenv(uptime.BOOT_VARIABLE, raising=False)
    if variable is not None:
        monkeypatch.setenv(uptime.BOOT_VARIABLE, variable)

    assert read_uptime().boot == boot

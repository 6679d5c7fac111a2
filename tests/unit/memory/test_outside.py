"""These tests check that the program which reads a database's files gets what it needs, and nothing of the daemon's."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory.outside import read_from_outside


def test_it_sees_no_secret_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTD_PROVIDER__API_KEY", "sk-planted")
    its_own = b"".join(read_from_outside(Path("/proc/self/environ"), 1 << 16))

    assert b"PATH=" in its_own
    assert b"planted" not in its_own

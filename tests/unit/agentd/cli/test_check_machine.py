"""What `agentd check` sees on this machine."""

from __future__ import annotations

import errno
import tempfile
from pathlib import Path

import pytest

from agentd.cli.check_finding import failed
from agentd.cli.check_machine import look_at_disk


def test_a_full_disk_is_to_be_given_room_and_not_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(dir: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(dir))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)

    assert look_at_disk(tmp_path) == failed(
        "disk", f"{tmp_path} cannot be written (No space left on device): make room"
    )

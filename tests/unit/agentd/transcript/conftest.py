"""This module provides the disks on which the store is tested."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agentd.transcript.file_disk import FileDisk
from agentd.transcript.memory_disk import MemoryDisk
from tests.fakes.disk import FakeDisk


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sessions"
    path.mkdir()
    return path


@pytest.fixture
def files() -> Iterator[FakeDisk]:
    with ThreadPoolExecutor(4) as threads:
        yield FakeDisk(FileDisk(threads))


@pytest.fixture(params=["files", "memory"])
def disk(request: pytest.FixtureRequest, files: FakeDisk) -> FakeDisk:
    """Return what keeps sessions: both keep the same contract."""
    return files if request.param == "files" else FakeDisk(MemoryDisk())

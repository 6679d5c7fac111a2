"""This module runs `agentd run` unchanged, except for a disk that is slow at times.

python -m tests.soak.target SHARE SECONDS --config CONFIG run
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

from agentd.app import Edges, serve
from agentd.cli import main as command_line
from agentd.cli import run as command
from agentd.settings import Settings
from agentd.transcript.disk import Disk, Write


class _SlowDisk:
    def __init__(self, disk: Disk, share: float, most_seconds: float) -> None:
        """Let such a share of the commits take up to so much longer."""
        self._disk = disk
        self._share = share
        self._most_seconds = most_seconds
        self._chance = random.Random()  # noqa: S311 - nothing is kept secret by it

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Commit, perhaps late: before or after the bytes are there."""
        is_late, is_first = self._chance.random() < self._share, self._chance.random() < 0.5
        seconds = self._chance.uniform(0, self._most_seconds) if is_late else 0.0
        time.sleep(seconds if is_first else 0)
        faults = self._disk.commit(writes)
        time.sleep(0 if is_first else seconds)
        return faults

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._disk, name)


def main() -> None:
    """Run."""
    _, share, seconds, *words = sys.argv

    def slow(disk: Disk) -> Disk:
        return cast("Disk", _SlowDisk(disk, float(share), float(seconds)))

    async def serve_slowly(settings: Settings, names: tuple[str, ...], edges: Edges) -> None:
        await serve(settings, names, replace(edges, wrap_disk=slow))

    vars(command)["serve"] = serve_slowly
    sys.argv = ["agentd", *words]
    command_line.main()


if __name__ == "__main__":
    main()

"""This module runs the command line, beside a daemon or without: each command is a forked process (`tests/forking.py`).

What a start itself does is tested with real ones (`test_process.py`, `test_streams.py`).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

import msgspec

from tests.flow.process import LIMIT_SECONDS
from tests.forking import LARGEST_LINE, Forking, News, Order

_ONE = Lock()
"""Commands run one after the other."""


def run_command(config: Path, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
    """Run `agentd` with a configuration, in its folder, to the end."""
    args = ("--config", str(config), *map(str, words))
    with _ONE, TemporaryDirectory() as folder:
        out, errors = Path(folder) / "out", Path(folder) / "errors"
        forking = Forking.of()
        number = forking.number()
        forking.order(
            Order(
                number=number,
                out=str(out),
                errors=str(errors),
                folder=str(config.parent),
                mask=_mask(),
                words=tuple(map(os.fsencode, args)),
            )
        )
        code = _code_of(forking, number)
        return subprocess.CompletedProcess(args, code, out.read_bytes(), errors.read_bytes())


def _mask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _code_of(forking: Forking, number: int) -> int:
    """Wait for the end of a command, which is killed when it takes too long."""
    limit, pid, rest = time.monotonic() + LIMIT_SECONDS, 0, b""
    while True:
        if not select.select([forking.news], [], [], max(0, limit - time.monotonic()))[0]:
            if pid:
                os.kill(pid, signal.SIGKILL)
            raise TimeoutError(f"a command took more than {LIMIT_SECONDS} s")
        received = os.read(forking.news, LARGEST_LINE)
        assert received, "the forking process has ended: what it said stands above"
        *lines, rest = (rest + received).split(b"\n")
        for news in (msgspec.json.decode(line, type=News) for line in lines):
            if news.number == number and news.code is not None:
                return news.code
            pid = news.pid or pid

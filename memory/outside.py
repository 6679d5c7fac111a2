"""This module reads the files of an SQLite database that this process has open, through another process.

Closing such a file would release all locks that SQLite holds on it in the same process
(https://www.sqlite.org/howtocorrupt.html, 2.2): another program that closes the database would then take itself for the
last one.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

__all__ = ["read_from_outside"]

_PRINT_FILE = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer)"


def read_from_outside(path: Path, block_bytes: int) -> Iterator[bytes]:
    """Yield a file's bytes in blocks; nothing for a missing file. Raises OSError."""
    if not path.exists():
        return
    command = [sys.executable, "-I", "-S", "-c", _PRINT_FILE, os.fspath(path)]
    # The other process needs none of the environment, which may hold keys.
    environment = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}
    with subprocess.Popen(  # noqa: S603 - ours
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    ) as process:
        if process.stdout is not None:
            yield from iter(partial(process.stdout.read, block_bytes), b"")
    if process.returncode and path.exists():
        raise OSError(errno.EIO, "it could not be searched", os.fspath(path))

"""This module runs the daemon as a process on a pipe, as a script does."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

AGENTD = Path(sys.executable).with_name("agentd")
SECRET = "sk-planted-secret-0123456789"
LIMIT_SECONDS = 30

MEMORY_OFF = "[memory]\nenabled = false\n"
"""Where a test is not about memory, the model is asked for replies alone."""


def write_config(folder: Path, base_url: str, more: str = "") -> Path:
    """Write a configuration that asks a server on this machine, and return its path."""
    path = folder / "config.toml"
    path.write_text(
        f'workspace = "{folder / "workspace"}"\n{more}\n{"" if "[memory]" in more else MEMORY_OFF}'
        f'[provider]\nkind = "openai"\nbase_url = "{base_url}"\nmodel = "test"\napi_key = "{SECRET}"\n',
        encoding="utf-8",
    )
    return path


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this process's environment without any setting of the daemon."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AGENTD_")}
    return {**kept, **(extra or {})}


@asynccontextmanager
async def started(
    config: Path,
    *words: str,
    stdin: int = PIPE,
    stdout: int = PIPE,
    stderr: int = PIPE,
    extra: Mapping[str, str] | None = None,
) -> AsyncIterator[Process]:
    """Start the daemon on pipes, or on these descriptors; kill it at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        AGENTD,
        *("--config", str(config)),
        *(words or ("run",)),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment(extra),
        cwd=config.parent,
        limit=1 << 24,
    )
    try:
        async with asyncio.timeout(LIMIT_SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def talk(config: Path, *lines: str | bytes, words: tuple[str, ...] = ()) -> tuple[int, str, str]:
    """Send lines until the end of input; return the exit code and both outputs."""
    async with started(config, *words) as process:
        told = [line.encode() if isinstance(line, str) else line for line in lines]
        output, errors = await process.communicate(b"".join(line + b"\n" for line in told))
        assert process.returncode is not None
        return process.returncode, output.decode(), errors.decode()


def records(config: Path) -> list[dict[str, Any]]:
    """Return the records of the one session in the workspace."""
    [path] = (config.parent / "workspace" / "sessions").glob("*.jsonl")
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def journal(config: Path) -> bytes:
    """Return the bytes of the sessions so far; a record may be in the middle of being written."""
    return b"".join(path.read_bytes() for path in (config.parent / "workspace" / "sessions").glob("*.jsonl"))


def scrape(port: int) -> str:
    """Return what a monitor reads; blocks meanwhile."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_SECONDS)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    return text

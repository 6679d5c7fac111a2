"""This module runs a systemd of the tests' own, in a container over this machine's files that is gone at the end.

What is written inside goes to memory. The network is this machine's, so a loopback server outside is reached from
inside. `/tmp` starts empty; what a test needs from there it names.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.platforms.notify_socket import NotifySocket, open_notify_socket

__all__ = ["Box", "Done", "find_obstacle", "open_box"]

PATIENCE_SECONDS = 60

ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
}

BOUND = (
    *("setpriv", "--pdeathsig=KILL", "--"),
    *("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child", "--mount-proc", "--"),
)
"""What is mounted and what runs goes with the test, however that ends."""

BOOT = """\
mount --bind / "$1" || exit 125
shift
exec systemd-nspawn --quiet --register=no --keep-unit --notify-ready=yes --volatile=overlay --boot "$@"
"""


def find_obstacle() -> str | None:
    """Say why no container can be booted here; None where one can."""
    if os.geteuid() != 0:
        return "only root can boot a systemd"
    missing = [name for name in ("systemd-nspawn", "setpriv", "unshare", "nsenter") if shutil.which(name) is None]
    return f"{missing[0]} is not on this machine: apt install systemd-container" if missing else None


@dataclass(frozen=True, slots=True)
class Done:
    """A command that has ended."""

    code: int
    output: str


class Box:
    """A booted container; `leader` is its first process, as this machine counts."""

    def __init__(self, leader: int) -> None:
        """Look into it by way of its first process."""
        self.leader = leader
        self.root = Path(f"/proc/{leader}/root")

    def path(self, inside: str) -> Path:
        """Return where a path of the container is found from outside."""
        return self.root / inside.lstrip("/")

    def write(self, inside: str, text: str, mode: int = 0o644) -> None:
        """Write a file as the container's root."""
        path = self.path(inside)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
        path.chmod(mode)
        path.write_text(text, encoding="utf-8")

    async def run(self, *words: str, user: int | None = None, extra: dict[str, str] | None = None) -> Done:
        """Run a command inside, as root or as another user, and return what it said."""
        become = () if user is None else ("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
        process = await asyncio.create_subprocess_exec(
            "nsenter",
            f"--target={self.leader}",
            *("--mount", "--uts", "--ipc", "--pid", "--cgroup", "--root", "--wd"),
            *("--", *become, *words),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=STDOUT,
            env=ENVIRONMENT | (extra or {}),
        )
        async with asyncio.timeout(PATIENCE_SECONDS):
            output, _ = await process.communicate()
        assert process.returncode is not None
        return Done(process.returncode, output.decode())

    async def do(self, *words: str, user: int | None = None, extra: dict[str, str] | None = None) -> str:
        """Run a command that has to succeed; return what it said."""
        done = await self.run(*words, user=user, extra=extra)
        if done.code != 0:
            log = await self.run("journalctl", "--no-pager", "--output=cat", "--lines=30")
            raise AssertionError(f"{' '.join(words)}: {done.output}\n{log.output}")
        return done.output

    async def show(self, *properties: str, unit: str = "agentd") -> dict[str, str]:
        """Return what the manager knows of a unit."""
        lines = (await self.do("systemctl", "show", unit, *(f"--property={name}" for name in properties))).splitlines()
        return dict(line.split("=", 1) for line in lines)

    async def journal(self, unit: str = "agentd") -> str:
        """Return a unit's log."""
        return await self.do("journalctl", "--no-pager", "--output=cat", f"--unit={unit}")


@asynccontextmanager
async def open_box(folder: Path, shared: Sequence[Path]) -> AsyncIterator[Box]:
    """Boot one, with these folders of this machine inside; skip the test where this machine boots none at all."""
    root, console = folder / "root", folder / "console"
    root.mkdir()
    binds = [f"--bind-ro={path}" for path in shared]
    words = [str(root), f"--directory={root}", f"--machine=box{os.getpid()}", *binds, "systemd.unit=sysinit.target"]
    async with open_notify_socket(folder) as told:
        with console.open("wb") as out:
            process = await asyncio.create_subprocess_exec(
                *(*BOUND, "sh", "-c", BOOT, "boot", *words),
                stdin=DEVNULL,
                stdout=out,
                stderr=STDOUT,
                env={**ENVIRONMENT, "NOTIFY_SOCKET": told.address},
            )
        try:
            if await _is_booted(process, told):
                yield Box(_child(_child(process.pid)))
            else:
                pytest.skip(f"no container boots here: {console.read_text('utf-8', 'replace').strip()[-300:]}")
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


def _child(parent: int) -> int:
    """Return the one child: of `unshare` that is systemd-nspawn, and of that the container's first process."""
    [child] = Path(f"/proc/{parent}/task/{parent}/children").read_text("ascii").split()
    return int(child)


async def _is_booted(process: Process, told: NotifySocket) -> bool:
    """Wait until it is, or has ended before."""
    async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
        booting = tasks.create_task(told.until(lambda: bool(told.count("READY"))), name="boot")
        ending = tasks.create_task(process.wait(), name="end")
        await asyncio.wait([booting, ending], return_when=asyncio.FIRST_COMPLETED)
        booting.cancel()
        ending.cancel()
    return process.returncode is None

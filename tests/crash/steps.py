"""This module names the numbered steps of a run as they are passed, and can kill the process at any of them.

A commit has a step before it, one within each of its records (half of that record's line is on disk), and one after
it. A call to the platform has one before it and one after its answer, and so has each update that is handed over.
What lies between a call's effect and its answer is known to the platform only: there the test kills from outside.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, cast

import msgspec

from agentd.transcript.disk import Disk, Write
from channels.base import Accept, Address, Channel, Closing, Inbound, Places, Receipt, RemoteFile
from channels.markup.rich import Dialect, RichText
from channels.pacing import UNPACED


class Steps:
    """Names what is passed, and ends the process at the step that the test wants."""

    def __init__(self, announce: Callable[[str], None], kill_at: str | None) -> None:
        """Tell each step's name; a name that comes again gets its number."""
        self._announce = announce
        self._kill_at = kill_at
        self._passed: Counter[str] = Counter()

    def take(self, name: str) -> bool:
        """Pass a step, and tell whether it is the last."""
        self._passed[name] += 1
        number = self._passed[name]
        label = name if number == 1 else f"{name} ({number})"
        self._announce(label)
        return label == self._kill_at

    def pass_by(self, name: str) -> None:
        """Pass a step, or end there."""
        if self.take(name):
            kill()


def kill() -> None:
    """End as if the machine's owner had pulled this process out: nothing of it runs any more."""
    os.kill(os.getpid(), signal.SIGKILL)


def with_steps(disk: Disk, steps: Steps) -> Disk:
    """Return the same disk, whose every commit has its steps."""
    return cast("Disk", _SteppingDisk(disk, steps))


class _SteppingDisk:
    def __init__(self, disk: Disk, steps: Steps) -> None:
        """Pass on to `disk`."""
        self._disk = disk
        self._steps = steps

    def commit(self, writes: Sequence[Write]) -> list[OSError | None]:
        """Commit, step by step."""
        lines = [line for write in writes for line in write.payload.splitlines(keepends=True) if line.strip()]
        name = " + ".join(map(record_name, lines))
        self._steps.pass_by(f"before {name}")
        for write in writes:
            self._tear(write)
        faults = self._disk.commit(writes)
        self._steps.pass_by(f"after {name}" if not any(faults) else f"failed {name}")
        return faults

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._disk, name)

    def _tear(self, write: Write) -> None:
        whole = 0
        for line in write.payload.splitlines(keepends=True):
            if line.strip() and self._steps.take(f"within {record_name(line)}"):
                with write.path.open("ab") as file:
                    file.write(write.payload[: whole + len(line) // 2])
                kill()
            whole += len(line)


class SteppingChannel:
    """A channel whose every call has its steps."""

    rates = UNPACED
    """The rate budget has tests of its own: these would only wait."""

    def __init__(self, channel: Channel, steps: Steps, dialect: Dialect) -> None:
        """Pass on to `channel`, whose messages take what `dialect` says."""
        self.name = channel.name
        self.streams = channel.streams
        self.dialect = dialect
        self.nonce_seconds = channel.nonce_seconds
        self.typing_seconds = channel.typing_seconds
        self.health = channel.health
        self._channel = channel
        self._steps = steps
        self._calls: Counter[str] = Counter()

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive; each update that is handed over is a step."""

        async def step(inbound: Inbound) -> Receipt:
            called = self._begin("update")
            receipt = await accept(inbound)
            self._steps.pass_by(f"after {called}")
            return receipt

        await self._channel.run(step, places)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send."""
        called = self._begin("send")
        message_id = await self._channel.send(to, text, nonce)
        self._steps.pass_by(f"after {called}")
        return message_id

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Edit."""
        called = self._begin("edit")
        await self._channel.edit(to, message_id, text)
        self._steps.pass_by(f"after {called}")

    async def delete(self, to: Address, message_id: str) -> None:
        """Delete."""
        called = self._begin("delete")
        await self._channel.delete(to, message_id)
        self._steps.pass_by(f"after {called}")

    async def show_typing(self, to: Address) -> None:
        """Show that a reply is being made: nothing that a kill could spoil."""
        await self._channel.show_typing(to)

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Fetch a file."""
        return self._channel.fetch(file)

    async def close(self) -> None:
        """Close its connections."""
        if isinstance(self._channel, Closing):
            await self._channel.close()

    def _begin(self, call: str) -> str:
        self._calls[call] += 1
        called = f"{call} {self._calls[call]}"
        self._steps.pass_by(f"before {called}")
        return called


class _Line(msgspec.Struct):
    """What names a record."""

    type: str
    role: str = ""
    state: str = ""
    part: int = 0
    name: str = ""


def record_name(line: bytes) -> str:
    """Return what a record is called in the matrix."""
    record = msgspec.json.decode(line, type=_Line)
    match record.type:
        case "session":
            return "header"
        case "message":
            return "answer" if record.role == "assistant" else "message"
        case "draft":
            return f"{record.state} {record.part}"
        case "command":
            return f"/{record.name}"
        case _:
            return record.type

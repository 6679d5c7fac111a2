"""This module prepares a workspace with session files, and runs the real `agentd sessions` on it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from agentd.transcript.key import SessionKey
from agentd.transcript.records import AssistantMessage, Record, SessionHeader, UserMessage, encode_line
from tests.flow.commands import run_command
from tests.flow.process import write_config
from tests.unit.agentd.transcript.building import KEY, source
from tests.unit.agentd.transcript.damage import NAME


class Workspace:
    """A configuration, and the session files that the commands find."""

    def __init__(self, folder: Path) -> None:
        """Begin without a workspace."""
        self.config = write_config(folder, "http://127.0.0.1:9/v1")
        self.folder = folder / "workspace"
        self.sessions = self.folder / "sessions"

    def put(self, content: bytes, name: str = NAME) -> Path:
        self.sessions.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.sessions / f"{name}.jsonl"
        path.write_bytes(content)
        return path

    def run(self, *words: str | Path, expect: int = 0) -> str:
        """Run a command, and return what it printed."""
        done = self.run_raw(*words)
        assert done.returncode == expect, done.stderr.decode()
        return done.stdout.decode()

    def run_raw(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        return run_command(self.config, "sessions", *words)

    def read(self, *words: str | Path, expect: int = 0) -> list[dict[str, Any]]:
        """Run a command with --json, and return the array."""
        found = json.loads(self.run(*words, "--json", expect=expect))
        assert isinstance(found, list)
        return found


def said(*texts: str, key: SessionKey = KEY, day: int = 1) -> bytes:
    """Return a session's file in which each text was said and answered."""
    records: list[Record] = [SessionHeader(version=1, key=key)]
    for text in texts:
        records.append(UserMessage(content=text, source=source(f"m{len(records)}")))
        records.append(AssistantMessage(content=f"You said: {text}", answers=(len(records) - 1,)))
    lines = b"".join(map(encode_line, records)).splitlines()
    numbered = [
        {**json.loads(line), "seq": seq, "ts": f"2026-01-{day:02}T12:00:00.000Z"} for seq, line in enumerate(lines)
    ]
    return b"".join(json.dumps(item, ensure_ascii=False).encode() + b"\n" for item in numbered)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

"""This module checks what must be true of every workspace after its daemon has ended in good order."""

from __future__ import annotations

from agentd.transcript.lines import cut_lines
from agentd.transcript.verify import verify
from tests.flow.house import House


def check_sessions(bot: House) -> None:
    """Let no session hold anything damaged, pending or undelivered, and no file lie in a folder without a record."""
    for path in bot.sessions():
        content = path.read_bytes()
        assert [finding.text for finding in verify(path.stem, lambda: cut_lines([content]))] == []  # noqa: B023
        named = {
            file["path"]
            for record in bot.records("user", path.stem)
            for file in record["attachments"]
            if file.get("path")
        }
        kept = (
            {file.name for file in path.with_suffix(".files").iterdir()}
            if path.with_suffix(".files").is_dir()
            else set()
        )
        assert kept == named

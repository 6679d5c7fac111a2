"""These tests check every kind of damage with the real commands: found by file and line, repaired, no byte lost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentd.transcript.key import SessionKey
from agentd.transcript.lines import cut_lines
from tests.flow.ledger import Workspace
from tests.unit.agentd.transcript.building import KEY
from tests.unit.agentd.transcript.damage import DAMAGES, as_bytes, whole
from tests.unit.agentd.transcript.test_repair import entries


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    mask = os.umask(0o077)
    yield Workspace(tmp_path)
    os.umask(mask)


def damaged_file(number: int, kind: str) -> tuple[str, bytes]:
    """Return the name and the content of a session of its own that is damaged in this way."""
    key = SessionKey(KEY.channel, KEY.account, f"chat{number}")
    content = DAMAGES[kind].do(whole())
    return key.file_name, content.replace(
        b'"account":"bot","chat":"chat"', f'"account":"bot","chat":"{key.chat}"'.encode()
    )


def test_each_kind_of_damage_is_found_with_file_and_line_and_repaired_without_losing_a_byte(
    workspace: Workspace,
) -> None:
    kinds = list(DAMAGES)
    before = {}
    for number, kind in enumerate(kinds):
        name, content = damaged_file(number, kind)
        before[workspace.put(content, name)] = content
    whole_file = workspace.put(as_bytes(whole()))
    found = [item for item in workspace.read("verify", expect=1) if item["damage"]]
    first = {item["file"]: (item["line"], item["text"]) for item in reversed(found)}
    workspace.run("repair")

    assert len(kinds) > 10
    for path, kind in zip(before, kinds, strict=True):
        line, text = first[str(path)]
        assert (line, DAMAGES[kind].words in text) == (DAMAGES[kind].line, True), (kind, line, text)
    assert str(whole_file) not in first
    assert [item for item in workspace.read("verify") if item["damage"]] == []
    assert [kind for path, kind in zip(before, kinds, strict=True) if not is_all_kept(path, before[path])] == []


def is_all_kept(path: Path, before: bytes) -> bool:
    """Tell whether each line of the damaged file is in the mended one, or its bytes in the quarantine."""
    quarantine = path.with_name(f"{path.name}.quarantine")
    set_aside = {entry["offset"]: lost for entry, lost in entries(quarantine)} if quarantine.exists() else {}
    kept = path.read_bytes().splitlines()
    for line in cut_lines([before]):
        lost = set_aside.get(line.offset, b"")
        assert before[line.offset :].startswith(lost)
        rest = before[line.offset + len(lost) : line.end].rstrip(b"\n")
        if rest and rest not in kept:
            return False
    return True

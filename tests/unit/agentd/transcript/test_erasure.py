"""These tests check an erasure that was cut after any step on disk: doing it again does the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from agentd.transcript.erasing import Stamp
from agentd.transcript.erasure import erase_file, erase_orphans, find_theirs
from agentd.transcript.key import SessionKey
from agentd.transcript.lines import read_lines
from agentd.transcript.records import SessionHeader
from agentd.transcript.verify import verify
from tests.unit.agentd.transcript.building import KEY
from tests.unit.agentd.transcript.shared import ADA, BOB, Shared, as_lines

IDS = {"fake": frozenset({ADA})}
STAMP = Stamp("0123456789abcdef", "2026-02-02T12:00:00.000Z")
HERS = SessionKey("fake", "bot", ADA, None, ADA)
STEPS = frozenset({"os.rename", "os.remove", "os.rmdir", "shutil.rmtree", "open"})
KILLED = 9


def fill(folder: Path) -> None:
    """Put a session of ada's, one that she shares, and what may lie beside them, into a folder."""
    for key, people in ((HERS, (ADA,)), (KEY, (BOB, ADA, BOB))):
        history = Shared()
        history.records.clear()
        history.add(SessionHeader(version=1, key=key))
        for person in people:
            history.message(person, file=True)
            history.turn()
        path = folder / f"{key.file_name}.jsonl"
        path.write_bytes(b"".join(as_lines(history.records)) + b"torn words of " + ADA.encode())
        files = path.with_suffix(".files")
        files.mkdir()
        for record in history.records:
            for file in getattr(record, "attachments", ()):
                (files / file.path).write_text(file.path)
        (files / "0-left").write_text(f"by a crash, of {ADA}")
        for suffix in ("quarantine", "aside-20260101T120000Z", "mended", "erased", "unfinished"):
            (folder / f"{path.name}.{suffix}").write_text(f'words of "{ADA}"')
    (folder / f"{SessionKey('fake', 'bot', ADA).file_name}.jsonl.quarantine").write_text("words")
    (folder / f"{KEY.file_name}-other.jsonl.quarantine").write_text(f'{{"id":"{BOB}"}}')


def erase(folder: Path) -> None:
    for path, _ in list(find_theirs(folder, IDS)):
        erase_file(path, IDS, STAMP)
    erase_orphans(folder, IDS)


def left(folder: Path) -> list[str]:
    """Return where ada is named."""
    found = [
        path for path in folder.rglob("*") if ADA in path.name or (path.is_file() and b"ada-" in path.read_bytes())
    ]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def check(folder: Path) -> None:
    assert left(folder) == []
    names = sorted(path.name for path in folder.iterdir())
    assert names == sorted(
        [
            f"{KEY.file_name}.jsonl",
            f"{KEY.file_name}.files",
            f"{KEY.file_name}-other.jsonl.quarantine",
            f"{SessionKey('fake', 'bot', 'erased-0123456789abcdef', None, 'erased-0123456789abcdef').file_name}.jsonl",
        ]
    )
    assert sorted(path.name[-8:] for path in (folder / f"{KEY.file_name}.files").iterdir()) == [BOB, BOB]
    for path in folder.glob("*.jsonl"):
        findings = list(verify(path.stem, lambda path=path: read_lines(path)))  # type: ignore[misc]
        assert [finding.text for finding in findings if finding.is_damage] == []


def test_files_beside_a_session_go_with_it(tmp_path: Path) -> None:
    fill(tmp_path)
    assert len(left(tmp_path)) > 10
    erase(tmp_path)

    check(tmp_path)


def erase_and_die(folder: Path, after: int) -> bool:
    """Erase in a process that dies at a step; tell whether it came to the end."""
    child = os.fork()
    if child == 0:
        count = 0

        def step(event: str, args: tuple[object, ...]) -> None:
            nonlocal count
            if event in STEPS and str(folder) in str(args):
                count += 1
                if count > after:
                    os._exit(KILLED)

        sys.addaudithook(step)
        code = 1
        try:
            erase(folder)
            code = 0
        finally:
            os._exit(code)  # the child must not run on as a test
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, KILLED)
    return code == 0


def test_an_erasure_that_was_killed_at_any_step_is_finished_by_doing_it_again(tmp_path: Path) -> None:
    after, is_done = 0, False
    while not is_done:
        folder = tmp_path / str(after)
        folder.mkdir()
        fill(folder)
        is_done = erase_and_die(folder, after)
        erase(folder)
        check(folder)
        after += 1

    assert after > 60


def test_a_link_in_place_of_the_attachments_is_removed_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "note").write_text("mine")
    folder = tmp_path / "sessions"
    folder.mkdir()
    path = folder / f"{HERS.file_name}.jsonl"
    path.write_bytes(b"".join(as_lines([SessionHeader(version=1, key=HERS, seq=0, ts=STAMP.now)])))
    path.with_suffix(".files").symlink_to(outside)
    erase(folder)

    assert (outside / "note").read_text() == "mine"
    assert not os.path.lexists(path.with_suffix(".files"))


@pytest.mark.parametrize("content", [b"", b"\n"])
def test_an_empty_file_gets_another_name_too(tmp_path: Path, content: bytes) -> None:
    (tmp_path / f"{HERS.file_name}.jsonl").write_bytes(content)
    erase(tmp_path)

    [path] = tmp_path.iterdir()
    assert ADA not in path.name
    assert list(verify(path.stem, lambda: read_lines(path))) == []

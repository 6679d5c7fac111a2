"""These tests check that `agentd sessions search` on all cores answers as one process does, whatever ends it early."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentd.transcript.key import SessionKey
from tests.flow.ledger import Workspace, said
from tests.flow.process import AGENTD, LIMIT_SECONDS, environment

FILES = 100

READ = """
import sys
from pathlib import Path
from agentd.cli.sessions_cores import read_on_cores

def work(path):
    for line in path.read_text().splitlines():
        if line == "bug":
            raise ZeroDivisionError
        yield line + "\\n"

files = [Path(word) for word in sys.argv[2:]]
sys.stdout.writelines(read_on_cores(work, files, int(sys.argv[1])))
"""


@pytest.fixture
def workspace(tmp_path: Path) -> Iterator[Workspace]:
    mask = os.umask(0o077)
    yield Workspace(tmp_path)
    os.umask(mask)


def read(processes: int, *files: Path) -> subprocess.CompletedProcess[str]:
    """Read files in a process of its own: this one has threads, which a fork does not like."""
    return subprocess.run(
        [sys.executable, "-c", READ, str(processes), *files],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )


def write(folder: Path, texts: list[str]) -> list[Path]:
    files = [folder / f"{number:03}" for number in range(len(texts))]
    for path, text in zip(files, texts, strict=True):
        path.write_text(text)
    return files


@pytest.mark.parametrize("processes", [1, 2, 3, 8])
def test_what_comes_out_is_in_the_order_of_the_files(processes: int, tmp_path: Path) -> None:
    texts = [f"{number} ä\n" * (number * 97 % 1009) for number in range(FILES)]
    done = read(processes, *write(tmp_path, texts))

    assert done.stdout == "".join(texts)
    assert done.stderr == ""


def test_no_file_and_no_result_are_nothing(tmp_path: Path) -> None:
    assert read(4).stdout == ""
    assert read(4, *write(tmp_path, [""] * FILES)).stdout == ""


@pytest.mark.parametrize("processes", [1, 4])
def test_a_file_that_cannot_be_read_ends_it_after_what_stands_before(processes: int, tmp_path: Path) -> None:
    files = write(tmp_path, [f"{number}\n" for number in range(FILES)])
    files[50].unlink()
    done = read(processes, *files)

    assert done.stdout == "".join(f"{number}\n" for number in range(50))
    assert done.returncode == 1
    assert f"No such file or directory: '{files[50]}'" in done.stderr


def test_a_bug_in_one_process_is_said_and_is_no_answer(tmp_path: Path) -> None:
    done = read(4, *write(tmp_path, ["a"] * 70 + ["bug"] + ["a"] * 30))

    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr
    assert "ended before its work" in done.stderr


def fill(workspace: Workspace, texts: int) -> None:
    for number in range(FILES):
        key = SessionKey("fake", "bot", f"{number:03}")
        workspace.put(said(*(f"word {number} {text}" for text in range(texts)), key=key), key.file_name)


def test_hits_come_in_the_order_of_the_files_as_text_and_as_json(workspace: Workspace) -> None:
    fill(workspace, 3)
    expected = [
        line
        for number in range(FILES)
        for text in range(3)
        for line in [f"word {number} {text}", f"You said: word {number} {text}"]
    ]

    assert [hit["line"] for hit in workspace.read("search", "WORD")] == expected
    assert [line.split(": ", 1)[1] for line in workspace.run("search", "word").splitlines()] == expected
    assert workspace.read("search", "nothing") == []


def test_a_reader_that_has_enough_ends_the_search_and_every_process_of_it(workspace: Workspace) -> None:
    fill(workspace, 60)
    with start(workspace) as process:
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        process.wait(LIMIT_SECONDS)

    assert left_of(process) is False


def test_an_interrupt_ends_the_search_at_once_without_a_word(workspace: Workspace) -> None:
    fill(workspace, 60)
    with start(workspace) as process:
        assert process.stdout
        process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        process.stdout.read()
        process.wait(LIMIT_SECONDS)
        assert process.stderr
        errors = process.stderr.read()

    assert (process.returncode, errors.strip()) == (130, b"")
    assert left_of(process) is False


def start(workspace: Workspace) -> subprocess.Popen[bytes]:
    """Search for what is nearly everywhere, in a process group of its own."""
    return subprocess.Popen(
        [AGENTD, "--config", workspace.config, "sessions", "search", "word", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        start_new_session=True,
    )


def left_of(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether a process of its group is still there."""
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_one_core_gives_the_answer_of_two(workspace: Workspace) -> None:
    fill(workspace, 3)
    one = subprocess.run(
        [AGENTD, "--config", workspace.config, "sessions", "search", "word", "--json"],
        capture_output=True,
        env=environment(),
        timeout=LIMIT_SECONDS,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        check=True,
    )

    assert json.loads(one.stdout) == workspace.read("search", "word")

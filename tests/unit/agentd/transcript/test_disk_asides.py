from __future__ import annotations

import errno
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentd.transcript.disk import Disk, Write
from agentd.transcript.file_disk import FileDisk
from tests.unit.agentd.transcript.flushes import Flushes
from tests.unit.agentd.transcript.stores import everything


class Power(BaseException):
    """Goes away."""


class Steps:
    """The system, which ends at its nth call, or fails there."""

    def __init__(self, last: int, ending: BaseException) -> None:
        self.left = last
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any) -> Any:
            self.left -= name != "close"
            if self.left == 0 and name != "close":
                raise self._ending
            return getattr(os, name)(*given)

        return call


class NoReading:
    """The system, which reads no bytes for this reason."""

    def __init__(self, code: int) -> None:
        self._code = code

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pread(self, fd: int, length: int, offset: int) -> bytes:
        raise OSError(self._code, os.strerror(self._code))


def attempt(disk: FileDisk, path: Path) -> bool | None:
    """Set a file aside; None where that was cut short."""
    try:
        return disk.set_aside(path, ".aside", "copy")[1]
    except (Power, OSError):
        return None


@pytest.mark.parametrize("ending", [Power(), OSError(errno.EIO, "x"), OSError(errno.ENOSPC, "x")], ids=repr)
def test_a_file_is_whole_under_its_name_wherever_setting_it_aside_ends(folder: Path, ending: BaseException) -> None:
    path, content = folder / "a.jsonl", b"line\n" * 40_000
    steps = 0
    outcomes: list[bool | None] = []
    while True:
        shutil.rmtree(folder)
        folder.mkdir()
        path.write_bytes(content)
        steps += 1
        system = Steps(steps, ending)
        with ThreadPoolExecutor(1) as threads:
            outcomes.append(attempt(FileDisk(threads, system), path))
        left = [name for name in os.listdir(folder) if name != path.name]
        if system.left > 0:
            break

        assert content in [(folder / name).read_bytes() for name in (path.name, *left) if (folder / name).exists()]
        assert outcomes[-1] is False or path.read_bytes() == content
        assert outcomes[-1] is not None or isinstance(ending, Power) or left == []
    assert steps > 20
    assert left == ["a.jsonl.aside"]


def test_a_copy_has_a_good_name_only_when_it_is_whole_and_the_next_one_takes_away_what_was_left(folder: Path) -> None:
    path, content, steps = folder / "a.jsonl", b"line\n" * 40_000, 0
    ended = False
    while not ended:
        shutil.rmtree(folder)
        folder.mkdir()
        path.write_bytes(content)
        steps += 1
        with ThreadPoolExecutor(1) as threads:
            ended = attempt(FileDisk(threads, Steps(steps, Power())), path) is not None
            whole = {name: (folder / name).read_bytes() == content for name in os.listdir(folder)}
            FileDisk(threads).set_aside(path, ".aside", "copy")

        assert all(whole[name] for name in whole if name != "a.jsonl.fresh")
        assert not (folder / "a.jsonl.fresh").exists()
    assert steps > 20


def test_copies_are_private_whatever_the_file_was_and_an_earlier_run_left(folder: Path) -> None:
    path, fresh = folder / "a.jsonl", folder / "a.jsonl.fresh"
    mask = os.umask(0)
    try:
        for each in (path, fresh):
            each.write_bytes(b"1\n")
            each.chmod(0o666)
        with ThreadPoolExecutor(1) as threads:
            aside, copied = FileDisk(threads).set_aside(path, ".aside", "copy or rename")
    finally:
        os.umask(mask)

    assert copied
    assert [stat.S_IMODE(each.stat().st_mode) for each in (path, aside)] == [0o600, 0o600]
    assert sorted(os.listdir(folder)) == [path.name, aside.name]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_a_file_that_only_cannot_be_read_now_stays_where_it_is(folder: Path, code: int) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b"1\n")
    with ThreadPoolExecutor(1) as threads, pytest.raises(OSError, match=os.strerror(code)):
        FileDisk(threads, NoReading(code)).set_aside(path, ".aside", "copy or rename")

    assert os.listdir(folder) == [path.name]


def test_a_file_that_cannot_be_read_for_its_own_sake_is_renamed(folder: Path) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b"1\n")
    with ThreadPoolExecutor(1) as threads:
        aside, copied = FileDisk(threads, NoReading(errno.EIO)).set_aside(path, ".aside", "copy or rename")

    assert (os.listdir(folder), copied) == ([aside.name], False)


def test_nothing_counts_before_the_new_name_of_a_file_is_flushed(folder: Path) -> None:
    a, b, flushes = folder / "a.jsonl", folder / "b.jsonl", Flushes()
    with ThreadPoolExecutor(2) as threads:
        files = FileDisk(threads, flushes)
        files.commit([Write(a, 0, b"1\n"), Write(b, 0, b"1\n")])
        flushes.failing["sessions"] = errno.EIO
        files.set_aside(a, ".aside", "copy")
        flushes.failing["sessions"] = errno.EIO
        refused = files.commit([Write(a, 2, b"2\n"), Write(b, 2, b"2\n")])
        taken = files.commit([Write(a, 2, b"3\n"), Write(b, 2, b"3\n")])

    assert [fault and fault.errno for fault in refused] == [errno.EIO, errno.EIO]
    assert taken == [None, None]
    assert (a.read_bytes(), b.read_bytes()) == (b"1\n3\n", b"1\n3\n")
    assert (folder / "a.jsonl.aside").read_bytes() == b"1\n"


def test_what_is_set_aside_keeps_its_content_and_gets_a_name_of_its_own(disk: Disk, folder: Path) -> None:
    path = folder / "a.jsonl"
    disk.commit([Write(path, 0, b"1\n")])
    first = disk.set_aside(path, ".aside", "copy")
    disk.commit([Write(path, 2, b"2\n")])
    second = disk.set_aside(path, ".aside", "rename")

    assert first == (folder / "a.jsonl.aside", True)
    assert second == (folder / "a.jsonl.aside-2", False)
    assert (everything(disk, first[0]), everything(disk, second[0])) == (b"1\n", b"1\n2\n")
    assert disk.start(path) == (0, b"")
    assert disk.names(folder) == []
    with pytest.raises(FileNotFoundError):
        disk.set_aside(path, ".aside", "copy")

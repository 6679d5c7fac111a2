from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.disk import START_BYTES, Disk, Write
from agentd.transcript.faults import FileChanged
from agentd.transcript.file_disk import READ_BLOCK_BYTES, FileDisk, make_folder
from agentd.transcript.memory_disk import MemoryDisk
from tests.unit.agentd.transcript.building import CALM
from tests.unit.agentd.transcript.flushes import Flushes
from tests.unit.agentd.transcript.stores import everything


@pytest.fixture
def flushes() -> Flushes:
    return Flushes()


@pytest.fixture
def files(flushes: Flushes) -> Iterator[FileDisk]:
    with ThreadPoolExecutor(4) as threads:
        yield FileDisk(threads, flushes)


@pytest.fixture(params=["files", "memory"])
def disk(request: pytest.FixtureRequest, files: FileDisk) -> Disk:
    return files if request.param == "files" else MemoryDisk()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "sessions"
    path.mkdir()
    return path


def test_what_is_committed_is_there_in_its_order(disk: Disk, folder: Path) -> None:
    a, b = folder / "a.jsonl", folder / "b.jsonl"
    faults = disk.commit([Write(a, 0, b"1\n"), Write(b, 0, b"x\n")]) + disk.commit([Write(a, 2, b"2\n")])

    assert faults == [None, None, None]
    assert (everything(disk, a), everything(disk, b)) == (b"1\n2\n", b"x\n")
    assert sorted(disk.names(folder)) == [a.name, b.name]


def test_a_file_that_is_not_there_is_empty(disk: Disk, folder: Path) -> None:
    assert disk.start(folder / "a.jsonl") == (0, b"")
    assert disk.names(folder) == []


def test_a_file_longer_than_its_writer_left_it_is_not_touched(disk: Disk, folder: Path) -> None:
    path = folder / "a.jsonl"
    disk.commit([Write(path, 0, b"one\nforeign\n")])
    [fault] = disk.commit([Write(path, 4, b"two\n")])

    assert isinstance(fault, FileChanged)
    assert everything(disk, path) == b"one\nforeign\n"


@pytest.mark.parametrize("cut_first", [False, True])
def test_a_file_shorter_than_its_writer_left_it_is_not_touched(disk: Disk, folder: Path, cut_first: bool) -> None:
    path = folder / "a.jsonl"
    disk.commit([Write(path, 0, b"one\n")])
    [fault] = disk.commit([Write(path, 9, b"two\n", cut_first=cut_first)])

    assert isinstance(fault, FileChanged)
    assert everything(disk, path) == b"one\n"


def test_the_start_of_a_file_is_bounded(disk: Disk, folder: Path) -> None:
    path = folder / "a.jsonl"
    disk.commit([Write(path, 0, b"x" * (START_BYTES + 10))])
    length, start = disk.start(path)

    assert (length, len(start)) == (START_BYTES + 10, START_BYTES)


contents = st.lists(
    st.sampled_from(
        [b"\n", b"\n\n", b"a", b"bc\n", b"x" * (READ_BLOCK_BYTES - 1), b"y" * READ_BLOCK_BYTES, b"z\n" * 40_000]
    )
).map(b"".join)


@CALM
@given(contents, st.integers(0, 5))
def test_lines_come_backwards_whatever_the_blocks(content: bytes, less: int) -> None:
    memory, end = MemoryDisk(), max(len(content) - less, 0)
    with TemporaryDirectory() as folder, ThreadPoolExecutor(1) as threads:
        path = Path(folder, "a.jsonl")
        path.write_bytes(content)
        lines = list(FileDisk(threads).lines_backwards(path, end))
    memory.commit([Write(path, 0, content)])

    assert lines == content[:end].split(b"\n")[::-1] == list(memory.lines_backwards(path, end))


def test_lines_are_read_only_as_far_as_they_are_asked_for(files: FileDisk, folder: Path) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b"first\n" + b"\0" * 10 * READ_BLOCK_BYTES + b"\nlast\n")
    lines = files.lines_backwards(path, path.stat().st_size)
    newest = [next(lines), next(lines)]
    path.write_bytes(b"")

    assert newest == [b"", b"last"]
    lines.close()  # type: ignore[attr-defined]


def test_files_are_private_and_their_folder_is_flushed_when_they_are_new(
    files: FileDisk, folder: Path, flushes: Flushes
) -> None:
    path = folder / "a.jsonl"
    mask = os.umask(0)
    try:
        files.commit([Write(path, 0, b"1\n")])
        first = list(flushes.names)
        files.commit([Write(path, 2, b"2\n")])
    finally:
        os.umask(mask)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(first) == ["a.jsonl", "sessions"]
    assert flushes.names[2:] == ["a.jsonl"]


def test_a_folder_is_flushed_once_for_all_its_new_files(files: FileDisk, folder: Path, flushes: Flushes) -> None:
    files.commit([Write(folder / f"{number}.jsonl", 0, b"1\n") for number in range(20)])

    assert flushes.names.count("sessions") == 1
    assert len(flushes.names) == 21


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_a_file_whose_flush_fails_is_cut_back_and_the_others_are_not(
    files: FileDisk, folder: Path, flushes: Flushes, code: int
) -> None:
    sick, well = folder / "sick.jsonl", folder / "well.jsonl"
    files.commit([Write(sick, 0, b"1\n"), Write(well, 0, b"1\n")])
    flushes.failing["sick.jsonl"] = code
    faults = files.commit([Write(sick, 2, b"lost\n"), Write(well, 2, b"kept\n")])

    assert [fault and fault.errno for fault in faults] == [code, None]
    assert (sick.read_bytes(), well.read_bytes()) == (b"1\n", b"1\nkept\n")
    assert files.commit([Write(sick, 2, b"2\n")]) == [None]
    assert sick.read_bytes() == b"1\n2\n"


def test_a_new_file_whose_name_is_not_on_disk_is_taken_back(files: FileDisk, folder: Path, flushes: Flushes) -> None:
    old, new = folder / "old.jsonl", folder / "new.jsonl"
    files.commit([Write(old, 0, b"1\n")])
    flushes.failing["sessions"] = errno.EIO
    faults = files.commit([Write(new, 0, b"lost\n"), Write(old, 2, b"2\n")])

    assert [fault and fault.errno for fault in faults] == [errno.EIO, None]
    assert (new.read_bytes(), old.read_bytes()) == (b"", b"1\n2\n")
    assert files.commit([Write(new, 0, b"1\n")]) == [None]
    assert sorted(flushes.names[-2:]) == ["new.jsonl", "sessions"]


def test_what_a_failed_write_left_goes_only_where_that_is_said(files: FileDisk, folder: Path) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b"1\nleft by a failed wr")
    [refused] = files.commit([Write(path, 2, b"2\n")])
    kept = path.read_bytes()
    [healed] = files.commit([Write(path, 2, b"2\n", cut_first=True)])

    assert isinstance(refused, FileChanged)
    assert kept == b"1\nleft by a failed wr"
    assert healed is None
    assert path.read_bytes() == b"1\n2\n"


def test_a_link_is_no_session_file(files: FileDisk, folder: Path, tmp_path: Path) -> None:
    target, link, dangling = tmp_path / "target", folder / "link.jsonl", folder / "dangling.jsonl"
    target.write_bytes(b"1\n")
    link.symlink_to(target)
    dangling.symlink_to(tmp_path / "nothing")
    faults = files.commit([Write(link, 2, b"2\n"), Write(dangling, 0, b"2\n")])

    assert [fault and fault.errno for fault in faults] == [errno.ELOOP, errno.ELOOP]
    assert (target.read_bytes(), (tmp_path / "nothing").exists()) == (b"1\n", False)
    assert files.names(folder) == []
    with pytest.raises(OSError, match="symbolic links"):
        files.start(link)


def test_the_folder_may_be_a_link(files: FileDisk, folder: Path, tmp_path: Path) -> None:
    """An operator may keep the sessions on another disk."""
    linked = tmp_path / "linked"
    linked.symlink_to(folder)

    assert files.commit([Write(linked / "a.jsonl", 0, b"1\n")]) == [None]
    assert (folder / "a.jsonl").read_bytes() == b"1\n"


def test_a_pipe_or_a_folder_in_a_files_place_fails_at_once(files: FileDisk, folder: Path) -> None:
    pipe, inner = folder / "pipe.jsonl", folder / "folder.jsonl"
    os.mkfifo(pipe)
    inner.mkdir()
    faults = files.commit([Write(pipe, 0, b"1\n"), Write(inner, 0, b"1\n")])

    assert [fault and fault.errno for fault in faults] == [errno.ENXIO, errno.EISDIR]
    assert files.names(folder) == []
    for path in (pipe, inner):
        with pytest.raises(OSError, match=r"seek|directory"):
            files.start(path)


def test_a_real_flush_that_fails_is_told(files: FileDisk, folder: Path) -> None:
    """A pipe takes bytes, and cannot be flushed."""
    path = folder / "pipe.jsonl"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        [fault] = files.commit([Write(path, 0, b"1\n")])
    finally:
        os.close(reader)

    assert fault is not None
    assert fault.errno == errno.EINVAL


def test_a_full_device_is_told(files: FileDisk, folder: Path) -> None:
    path = folder / "full.jsonl"
    try:
        os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 7))
        os.close(os.open(path, os.O_WRONLY))
    except PermissionError:
        pytest.skip("only root may make a device, and not everywhere")
    [fault] = files.commit([Write(path, 0, b"1\n")])

    assert fault is not None
    assert fault.errno == errno.ENOSPC


@pytest.mark.skipif(os.geteuid() == 0, reason="a read-only folder does not stop root")
def test_a_folder_that_may_not_be_written_is_told(files: FileDisk, folder: Path) -> None:
    folder.chmod(0o500)
    try:
        [fault] = files.commit([Write(folder / "a.jsonl", 0, b"1\n")])
    finally:
        folder.chmod(0o700)

    assert fault is not None
    assert fault.errno == errno.EACCES


SHORT_WRITE = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from agentd.transcript.disk import Write
from agentd.transcript.file_disk import FileDisk
from tests.unit.agentd.transcript.building import CALM

sick, well = Path(sys.argv[1], "sick.jsonl"), Path(sys.argv[1], "well.jsonl")
with ThreadPoolExecutor(2) as threads:
    disk = FileDisk(threads)
    assert disk.commit([Write(sick, 0, b"1" * 4999 + b"\\n"), Write(well, 0, b"1\\n")]) == [None, None]
    resource.setrlimit(resource.RLIMIT_FSIZE, (8000, resource.RLIM_INFINITY))
    faults = disk.commit([Write(sick, 5000, b"2" * 6000), Write(well, 2, b"2\\n")])
    print([fault and fault.errno for fault in faults], sick.stat().st_size, well.read_text().split())
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    print(disk.commit([Write(sick, 5000, b"2\\n")]), sick.stat().st_size)
"""


def test_a_write_that_the_system_cuts_short_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHORT_WRITE, str(tmp_path)], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == [f"[{errno.EFBIG}, None] 5000 ['1', '2']", "[None] 5002"]


def test_folders_are_made_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "sessions"
    mask = os.umask(0)
    try:
        make_folder(folder)
        make_folder(folder)
    finally:
        os.umask(mask)

    assert [stat.S_IMODE(place.stat().st_mode) for place in (folder, *folder.parents[:2])] == [0o700] * 3


def test_no_folder_is_made_where_a_file_stands(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")

    for place in ("file", "file/sessions", "link"):
        with pytest.raises((FileExistsError, NotADirectoryError)):
            make_folder(tmp_path / place)


def test_a_stamp_is_that_of_the_bytes_that_were_read_and_changes_with_them(disk: Disk, folder: Path) -> None:
    path = folder / "a.jsonl"
    disk.commit([Write(path, 0, b"12345\n")])
    stamp, end = disk.tail(folder, path.name, 3)
    kept = disk.stamps(folder)
    disk.commit([Write(path, 6, b"2\n")])

    assert (stamp.size, end) == (6, b"45\n")
    assert kept == {path.name: stamp}
    assert disk.stamps(folder) != kept
    assert disk.tail(folder, path.name, 100).content == b"12345\n2\n"


def test_what_an_earlier_run_left_is_flushed_once_before_it_counts(
    files: FileDisk, folder: Path, flushes: Flushes
) -> None:
    """It may have been killed between writing and flushing: then the bytes can be read, and go with the power."""
    path = folder / "a.jsonl"
    path.write_bytes(b"1\n")
    for _ in range(2):
        assert files.start(path) == (2, b"1\n")
    first = list(flushes.names)
    files.commit([Write(path, 2, b"2\n")])

    assert first == ["a.jsonl", "sessions"]
    assert flushes.names == [*first, "a.jsonl"]


def test_a_name_that_an_earlier_run_left_is_flushed_before_an_append_counts(
    files: FileDisk, folder: Path, flushes: Flushes
) -> None:
    path = folder / "a.jsonl"
    path.write_bytes(b"1\n")
    flushes.failing["sessions"] = errno.EIO
    [refused] = files.commit([Write(path, 2, b"lost\n")])
    [taken] = files.commit([Write(path, 2, b"2\n")])

    assert refused
    assert taken is None
    assert path.read_bytes() == b"1\n2\n"
    assert flushes.names == ["sessions", "sessions", "a.jsonl"]


def test_what_could_not_be_flushed_is_read_back_from_a_copy_alone(
    files: FileDisk, folder: Path, flushes: Flushes
) -> None:
    """The system says once that a flush failed; the next one finds nothing to do, and the bytes are not on disk."""
    path = folder / "a.jsonl"
    path.write_bytes(b"1\n")
    flushes.failing["a.jsonl"] = errno.EIO
    for _ in range(2):
        with pytest.raises(OSError, match=r"Input/output|flushed"):
            files.start(path)
    files.set_aside(path, ".aside", "copy")

    assert files.start(path) == (2, b"1\n")

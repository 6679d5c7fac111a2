"""These tests check files beside a session: only whole ones, only there, and only for their owner."""

from __future__ import annotations

import os
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import StorageError
from agentd.transcript import enclosures as module
from agentd.transcript.enclosures import HEAD_BYTES, MOST_BYTES, Enclosures, TooLarge
from agentd.transcript.key import SessionKey

KEY = SessionKey("fake", "bot", "dm", None, "ada")


async def blocks(*parts: bytes | Exception) -> AsyncIterator[bytes]:
    for part in parts:
        if isinstance(part, Exception):
            raise part
        yield part


def beside(folder: Path) -> Path:
    return folder / f"{KEY.file_name}.files"


async def test_what_is_kept_can_be_read_by_its_path_alone(tmp_path: Path) -> None:
    enclosures = Enclosures(tmp_path)
    kept = await enclosures.keep(KEY, "stem", "a.txt", blocks(b"Hel", b"lo"))

    assert (kept.path, kept.size_bytes, kept.head) == ("stem-a.txt", 5, b"Hello")
    assert await enclosures.read(KEY, kept.path) == b"Hello"
    assert stat.S_IMODE((beside(tmp_path) / kept.path).stat().st_mode) == 0o600
    assert stat.S_IMODE(beside(tmp_path).stat().st_mode) == 0o700


async def test_only_the_beginning_of_a_large_file_is_returned(tmp_path: Path) -> None:
    kept = await Enclosures(tmp_path).keep(KEY, "stem", "a", blocks(*[b"x" * 1_000] * 100))

    assert kept.head == b"x" * HEAD_BYTES
    assert kept.size_bytes == 100_000


async def test_a_file_is_written_anew_and_not_after_what_a_cut_run_left(tmp_path: Path) -> None:
    enclosures = Enclosures(tmp_path)
    await enclosures.keep(KEY, "stem", "a.txt", blocks(b"a long one that was cut"))
    kept = await enclosures.keep(KEY, "stem", "a.txt", blocks(b"short"))

    assert await enclosures.read(KEY, kept.path) == b"short"


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_nothing_is_written_through_a_link(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    enclosures = Enclosures(tmp_path)
    kept = await enclosures.keep(KEY, "stem", "a.txt", blocks(b"first"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"precious")
    (beside(tmp_path) / kept.path).unlink()
    link(elsewhere, beside(tmp_path) / kept.path)
    await enclosures.keep(KEY, "stem", "a.txt", blocks(b"second"))

    assert elsewhere.read_bytes() == b"precious"
    assert await enclosures.read(KEY, kept.path) == b"second"


async def test_a_folder_that_is_a_link_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o755)
    (elsewhere / "a.txt").write_bytes(b"precious")
    beside(tmp_path).symlink_to(elsewhere)

    with pytest.raises(StorageError):
        await Enclosures(tmp_path).keep(KEY, "stem", "a.txt", blocks(b"x"))
    assert await Enclosures(tmp_path).read(KEY, "a.txt") is None
    assert [path.name for path in elsewhere.iterdir()] == ["a.txt"]
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755


@pytest.mark.parametrize("fault", [TooLarge(), RuntimeError("cut")])
async def test_half_a_file_does_not_stay(tmp_path: Path, fault: Exception) -> None:
    with pytest.raises(type(fault)):
        await Enclosures(tmp_path).keep(KEY, "stem", "a.txt", blocks(b"half", fault))

    assert list(beside(tmp_path).iterdir()) == []


async def test_more_than_the_limit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TooLarge):
        await Enclosures(tmp_path).keep(KEY, "stem", "a", blocks(bytes(MOST_BYTES), b"x"))


async def test_without_a_folder_nothing_is_kept_but_looked_into() -> None:
    kept = await Enclosures(None).keep(KEY, "stem", "a.txt", blocks(b"Hello"))

    assert (kept.path, kept.size_bytes, kept.head) == ("", 5, b"Hello")
    assert await Enclosures(None).read(KEY, "stem-a.txt") is None


@pytest.mark.parametrize("path", ["", "..", "../a.txt", "/etc/passwd", ".hidden", "a/b", "-x", "a\n", "missing"])
async def test_only_files_of_this_session_are_read(tmp_path: Path, path: str) -> None:
    await Enclosures(tmp_path).keep(KEY, "stem", "a.txt", blocks(b"x"))
    (tmp_path / "a.txt").write_bytes(b"not for you")

    assert await Enclosures(tmp_path).read(KEY, path) is None


async def test_a_link_is_not_read(tmp_path: Path) -> None:
    await Enclosures(tmp_path).keep(KEY, "stem", "a.txt", blocks(b"x"))
    (tmp_path / "secret").write_bytes(b"secret")
    (beside(tmp_path) / "planted").symlink_to(tmp_path / "secret")
    os.mkfifo(beside(tmp_path) / "pipe")

    assert await Enclosures(tmp_path).read(KEY, "planted") is None
    assert await Enclosures(tmp_path).read(KEY, "pipe") in (None, b"")


@given(st.text(max_size=400))
def test_every_name_becomes_a_harmless_one(name: str) -> None:
    path = f"stem-{module._harmless(name)}"

    assert module._OWN.fullmatch(path)
    assert len(path) <= 80
    assert "/" not in path


async def test_a_disk_that_refuses_is_a_storage_error(tmp_path: Path) -> None:
    beside(tmp_path).write_bytes(b"a file where the folder should be")

    with pytest.raises(StorageError):
        await Enclosures(tmp_path).keep(KEY, "stem", "a.txt", blocks(b"x"))

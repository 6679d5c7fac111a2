"""These tests check what becomes of a message's files before the message is accepted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentd.context.images import MOST_IMAGE_BYTES
from agentd.conversation import enclosing
from agentd.conversation.enclosing import (
    MOST_EXCERPT_CHARACTERS,
    MOST_IMAGES,
    load_images,
    parse_excerpt,
    take_files,
)
from agentd.transcript.enclosures import MOST_BYTES, Enclosures
from agentd.transcript.key import SessionKey
from agentd.transcript.records import FileAttachment, UserMessage
from channels.base import Address, Author, InboundMessage, RemoteFile
from channels.errors import Unreachable
from tests.fakes.channel import FakeChannel

KEY = SessionKey("fake", "bot", "dm", None, "ada")


class Unsteady(FakeChannel):
    """Loses the connection so many times, after the first bytes."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    async def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        yield b"Hel"
        if self.failures:
            self.failures -= 1
            raise Unreachable("gone")
        yield b"lo"


def sent(*files: RemoteFile) -> InboundMessage:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return InboundMessage(Address("fake", "bot", "dm"), Author("ada", "Ada"), "1", now, "Look", files)


def text_file(name: str = "a.txt", size_bytes: int = 5, unread: str = "") -> RemoteFile:
    return RemoteFile(name, "text/plain", size_bytes, "" if unread else "ref", unread)


def files_in(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.files/*"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosing, "PAUSE_SECONDS", 0.001)


async def test_a_text_file_is_kept_and_looked_into(folder: Path) -> None:
    channel = FakeChannel()
    channel.files["ref"] = b"Hello"
    [file] = await take_files(sent(text_file()), KEY, channel, Enclosures(folder))

    assert (file.name, file.size_bytes, file.excerpt, file.unread) == ("a.txt", 5, "Hello", "")
    assert files_in(folder) == [b"Hello"]


async def test_the_same_message_keeps_the_same_file(folder: Path) -> None:
    channel = FakeChannel()
    channel.files["ref"] = b"Hello"
    first, again = [await take_files(sent(text_file()), KEY, channel, Enclosures(folder)) for _ in range(2)]

    assert first == again
    assert len(files_in(folder)) == 1


async def test_two_files_of_one_name_are_two_files(folder: Path) -> None:
    channel = FakeChannel()
    channel.files["ref"] = b"Hello"
    one, other = await take_files(sent(text_file(), text_file()), KEY, channel, Enclosures(folder))

    assert one.path != other.path
    assert len(files_in(folder)) == 2


async def test_a_file_that_cannot_be_used_is_not_fetched(folder: Path) -> None:
    [file] = await take_files(sent(text_file(unread="Too big.")), KEY, FakeChannel(), Enclosures(folder))

    assert (file.unread, file.path) == ("Too big.", "")


async def test_a_file_that_is_gone_says_so_and_leaves_nothing(folder: Path) -> None:
    [file] = await take_files(sent(text_file()), KEY, FakeChannel(), Enclosures(folder))

    assert file.unread == "a.txt is gone"
    assert files_in(folder) == []


async def test_a_file_of_which_there_is_no_end_is_refused_and_leaves_nothing(folder: Path) -> None:
    channel = FakeChannel()
    channel.files["ref"] = bytes(MOST_BYTES + 1)
    [file] = await take_files(sent(text_file()), KEY, channel, Enclosures(folder))

    assert file.unread == "a.txt is larger than I can take."
    assert files_in(folder) == []


async def test_a_file_is_tried_three_times(folder: Path) -> None:
    [file] = await take_files(sent(text_file()), KEY, Unsteady(2), Enclosures(folder))

    assert file.excerpt == "Hello"
    assert files_in(folder) == [b"Hello"]


async def test_a_file_that_cannot_be_had_is_given_up_and_leaves_nothing(folder: Path) -> None:
    [file] = await take_files(sent(text_file()), KEY, Unsteady(3), Enclosures(folder))

    assert file.unread == "a.txt could not be fetched: send it again."
    assert files_in(folder) == []


async def test_a_file_that_takes_too_long_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(enclosing, "FETCH_SECONDS", 0.05)
    monkeypatch.setattr(enclosing, "PAUSE_SECONDS", 30)
    [file] = await take_files(sent(text_file()), KEY, Unsteady(1), Enclosures(folder))

    assert file.unread == "a.txt could not be fetched: send it again."
    assert files_in(folder) == []


@pytest.mark.parametrize(
    ("head", "excerpt"),
    [
        (b"", ""),
        (b"plain\n\ttext\r\n", "plain\n\ttext\r\n"),
        ("Grüße 🎉".encode(), "Grüße 🎉"),
        ("Grüße 🎉".encode()[:-1], "Grüße "),
        ("\ufeffx".encode(), "\ufeffx"),
        (b"\x89PNG\r\n\x1a\n", ""),
        (b"a\x00b", ""),
        (b"\xff\xfea\x00", ""),
        (b"Gr\xfc\xdfe", ""),
        (b"a" * 20_000, "a" * MOST_EXCERPT_CHARACTERS),
    ],
)
def test_a_beginning_is_text_or_it_is_not(head: bytes, excerpt: str) -> None:
    assert parse_excerpt(head) == excerpt


async def put_image(folder: Path, name: str, size_bytes: int, media_type: str = "image/png") -> FileAttachment:
    beside = folder / f"{KEY.file_name}.files"
    beside.mkdir(exist_ok=True)
    (beside / name).write_bytes(name.encode())
    return FileAttachment(name=name, media_type=media_type, size_bytes=size_bytes, path=name)


async def test_the_newest_images_that_a_model_takes_are_read(folder: Path) -> None:
    images = [await put_image(folder, f"{number}.png", 10) for number in range(MOST_IMAGES + 2)]
    others = [
        await put_image(folder, "large.png", MOST_IMAGE_BYTES + 1),
        await put_image(folder, "a.svg", 10, "image/svg+xml"),
        FileAttachment(name="lost.png", media_type="image/png", size_bytes=1, unread="Gone."),
        FileAttachment(name="../x.png", media_type="image/png", size_bytes=1, path="../x.png"),
    ]
    messages = [
        UserMessage(content="", attachments=tuple(others[:3])),
        UserMessage(content="", attachments=tuple(images)),
    ]
    found = await load_images(messages, KEY, Enclosures(folder))

    assert [image.content.decode() for image in found] == [file.name for file in images[2:]]
    outside = UserMessage(content="", attachments=(others[3],))
    assert await load_images([outside], KEY, Enclosures(folder)) == ()

"""These tests check how the Telegram channel takes in and downloads files that come with messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.base import InboundMessage, RemoteFile
from channels.errors import FetchFailed, Unreachable
from channels.telegram.downloads import BLOCK_BYTES
from channels.telegram.files import MOST_BYTES, TOO_BIG
from tests.platforms.telegram_behaviours import drop_before_effect, failing, hang, malformed, raw, refusing
from tests.platforms.telegram_rig import QUICK, Rig, build_channel, open_rig
from tests.platforms.telegram_server import DOWNLOAD, Behaviour, Document, Location, Photo, Sound, Sticker

CONTENT = bytes(range(256)) * 1_000


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig() as opened:
        yield opened


async def take_file(rig: Rig) -> RemoteFile:
    async with rig.running():
        await rig.takes(1)
    [message] = rig.took
    assert isinstance(message, InboundMessage)
    [file] = message.files
    return file


async def fetch(rig: Rig, file: RemoteFile) -> list[bytes]:
    return [block async for block in rig.channel.fetch(file)]


async def test_a_document_comes_with_its_caption_name_and_bytes(rig: Rig) -> None:
    rig.server.post("read this", media=Document(CONTENT, "my notes.txt", "text/plain"))
    file = await take_file(rig)
    blocks = await fetch(rig, file)

    assert (file.name, file.media_type, file.size_bytes) == ("my notes.txt", "text/plain", len(CONTENT))
    assert rig.texts == ["read this"]
    assert b"".join(blocks) == CONTENT
    assert max(map(len, blocks)) <= BLOCK_BYTES


async def test_a_photo_comes_in_its_largest_size(rig: Rig) -> None:
    rig.server.post(media=Photo(CONTENT))
    file = await take_file(rig)

    assert file.name.startswith("photo-")
    assert (file.name[-4:], file.media_type) == (".jpg", "image/jpeg")
    assert b"".join(await fetch(rig, file)) == CONTENT


async def test_a_file_too_big_for_bots_is_said_to_be_and_not_asked_for(rig: Rig) -> None:
    rig.server.post(media=Document(size=MOST_BYTES + 1))
    file = await take_file(rig)
    with pytest.raises(FetchFailed, match="20 MB"):
        await fetch(rig, file)

    assert (file.unread, file.ref) == (TOO_BIG, "")
    assert rig.called("getFile") == 0


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (Sound("voice"), "voice messages"),
        (Sound("audio"), "audio files"),
        (Sound("video"), "videos"),
        (Sound("video_note"), "video messages"),
        (Sticker("🌧"), "this one stands for 🌧"),
        (Location(), "locations"),
    ],
)
async def test_what_cannot_be_read_is_said_to_be_unread(
    rig: Rig, media: Sound | Sticker | Location, words: str
) -> None:
    rig.server.post(media=media)
    file = await take_file(rig)

    assert words in file.unread
    assert file.ref == ""


async def test_the_parts_of_an_album_belong_together(rig: Rig) -> None:
    rig.server.post_album([Photo(), Document()], "both")
    async with rig.running():
        took = await rig.takes(2)
    messages = [message for message in took if isinstance(message, InboundMessage)]

    assert [(message.text, message.goes_on, len(message.files)) for message in messages] == [
        ("both", True, 1),
        ("", True, 1),
    ]
    assert messages[0].album == messages[1].album is not None


@pytest.mark.parametrize(
    "refusal",
    [
        "Bad Request: wrong file_id or the file is temporarily unavailable",
        "Bad Request: invalid file_id",
        "Forbidden: x",
    ],
)
async def test_a_file_that_telegram_does_not_give_is_a_sentence(rig: Rig, refusal: str) -> None:
    rig.server.enqueue("getFile", refusing(403 if refusal.startswith("Forbidden") else 400, refusal))
    with pytest.raises(FetchFailed, match=r"Telegram does not give me notes\.txt any more: please send it again\."):
        await fetch(rig, RemoteFile("notes.txt", "text/plain", 1, "some-id"))


async def test_a_file_that_telegram_finds_too_big_is_a_sentence(rig: Rig) -> None:
    rig.server.enqueue("getFile", refusing(400, "Bad Request: file is too big"))
    with pytest.raises(FetchFailed, match="20 MB"):
        await fetch(rig, RemoteFile("notes.txt", "text/plain", 1, "some-id"))


async def test_a_file_that_is_gone_when_it_is_read_is_a_sentence(rig: Rig) -> None:
    rig.server.post(media=Document(CONTENT))
    file = await take_file(rig)
    rig.server.enqueue(DOWNLOAD, refusing(404, "Not Found"))
    with pytest.raises(FetchFailed, match="send it again"):
        await fetch(rig, file)


@pytest.mark.parametrize("fault", [drop_before_effect(), failing(), malformed()])
async def test_a_file_can_be_had_later_when_telegram_cannot_be_asked(rig: Rig, fault: Behaviour) -> None:
    rig.server.enqueue("getFile", fault)
    with pytest.raises(Unreachable):
        await fetch(rig, RemoteFile("notes.txt", "text/plain", 1, "some-id"))


@pytest.mark.parametrize("fault", [drop_before_effect(), failing(), refusing(429, "Too Many Requests")])
async def test_a_file_can_be_had_later_when_it_cannot_be_read(rig: Rig, fault: Behaviour) -> None:
    rig.server.post(media=Document(CONTENT))
    file = await take_file(rig)
    rig.server.enqueue(DOWNLOAD, fault)
    with pytest.raises(Unreachable) as unreachable:
        await fetch(rig, file)

    assert "planted" not in str(unreachable.value)
    assert b"".join(await fetch(rig, file)) == CONTENT


async def test_a_file_that_does_not_come_is_given_up() -> None:
    async with open_rig(replace(QUICK, call_seconds=0.2)) as rig:
        rig.server.post(media=Document(CONTENT))
        file = await take_file(rig)
        rig.server.enqueue(DOWNLOAD, hang())
        with pytest.raises(Unreachable):
            await fetch(rig, file)


async def test_a_file_that_comes_too_slowly_is_given_up() -> None:
    async with open_rig(replace(QUICK, file_seconds=0)) as rig:
        rig.server.post(media=Document(CONTENT))
        with pytest.raises(Unreachable, match="did not come within 0 s"):
            await fetch(rig, await take_file(rig))


async def test_a_file_larger_than_it_was_said_to_be_is_given_up(rig: Rig) -> None:
    rig.server.post(media=Document(b"small"))
    file = await take_file(rig)
    rig.server.enqueue(DOWNLOAD, raw(bytes(MOST_BYTES + 1)))
    with pytest.raises(FetchFailed, match="20 MB"):
        await fetch(rig, file)


async def test_what_has_no_bytes_is_not_fetched() -> None:
    channel = build_channel("http://127.0.0.1:9")
    file = RemoteFile("sticker", "", 0, "", "I cannot see stickers: please write.")
    with pytest.raises(FetchFailed, match="I cannot see stickers"):
        await anext(channel.fetch(file))
    await channel.close()

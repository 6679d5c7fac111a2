"""These tests check how the Discord channel takes in and downloads files that people send."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from channels.base import InboundMessage, RemoteFile
from channels.discord.files import MOST_BYTES, TOO_BIG
from channels.errors import ChannelError, FetchFailed, Unreachable
from tests.platforms.discord_behaviours import delayed, failing, hang
from tests.platforms.discord_rig import QUICK, Rig, open_rig
from tests.platforms.discord_server import DOWNLOAD, PICTURE, Attachment, Behaviour


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    async with open_rig(replace(QUICK, file_seconds=0.5)) as opened:
        yield opened


async def receive(rig: Rig, *attachments: Attachment, text: str = "") -> InboundMessage:
    """Return a message with these attachments, as it is taken in."""
    async with rig.running():
        rig.server.post(text, attachments=attachments)
        [message] = await rig.takes(1)
    assert isinstance(message, InboundMessage)
    return message


async def content(rig: Rig, file: RemoteFile) -> bytes:
    """Fetch a file whole."""
    return b"".join([block async for block in rig.channel.fetch(file)])


async def fault_of(rig: Rig, file: RemoteFile) -> ChannelError:
    """Return what fetching a file fails with."""
    with pytest.raises(ChannelError) as refused:
        await content(rig, file)
    return refused.value


async def test_files_come_with_their_message_names_kinds_and_bytes(rig: Rig) -> None:
    message = await receive(rig, Attachment("a b.txt", b"words"), PICTURE, text="look")
    [document, picture] = message.files

    assert message.text == "look"
    assert (document.name, document.media_type, document.size_bytes) == ("a b.txt", "text/plain", 5)
    assert (picture.name, picture.media_type) == ("cat.png", "image/png")
    assert [await content(rig, file) for file in message.files] == [b"words", PICTURE.content]


async def test_a_long_file_comes_in_blocks(rig: Rig) -> None:
    [file] = (await receive(rig, Attachment("long.bin", bytes(300_000), None))).files
    blocks = [len(block) async for block in rig.channel.fetch(file)]

    assert sum(blocks) == 300_000
    assert max(blocks) <= 64 * 1024
    assert file.media_type == "application/octet-stream"


async def test_the_token_is_not_sent_to_where_files_are(rig: Rig) -> None:
    [file] = (await receive(rig, Attachment())).files

    assert "127.0.0.1" in file.ref
    assert await content(rig, file) == b"a document"


async def test_a_file_too_big_is_said_to_be_and_not_asked_for(rig: Rig) -> None:
    [file] = (await receive(rig, Attachment(claimed_size=MOST_BYTES + 1))).files

    assert (file.unread, file.ref) == (TOO_BIG, "")
    assert str(await fault_of(rig, file)) == TOO_BIG
    assert rig.called(DOWNLOAD) == 0


@pytest.mark.parametrize(("kind", "word"), [("video/mp4", "watch videos"), ("audio/mpeg", "listen to audio files")])
async def test_what_cannot_be_read_is_said_to_be_unread(rig: Rig, kind: str, word: str) -> None:
    [file] = (await receive(rig, Attachment("a", b"x", kind))).files

    assert word in file.unread


async def test_stickers_and_polls_are_said_to_be_unread(rig: Rig) -> None:
    async with rig.running():
        sticker = {"id": "1", "name": "wave", "format_type": 1}
        rig.server.post("", more={"sticker_items": [sticker]})
        [message] = await rig.takes(1)

    assert isinstance(message, InboundMessage)
    assert [file.unread for file in message.files] == ["I cannot see stickers (this one is wave)."]


async def test_an_address_that_works_no_more_cannot_be_had(rig: Rig) -> None:
    [file] = (await receive(rig, Attachment())).files
    rig.server.files.expire()

    assert isinstance(await fault_of(rig, file), FetchFailed)


@pytest.mark.parametrize("behaviour", [failing(), failing(429), hang(), delayed(1)])
async def test_a_file_can_be_had_later_when_discord_cannot_be_asked(rig: Rig, behaviour: Behaviour) -> None:
    [file] = (await receive(rig, Attachment())).files
    rig.server.enqueue(DOWNLOAD, behaviour)
    began = time.monotonic()
    fault = await fault_of(rig, file)

    assert isinstance(fault, Unreachable)
    assert time.monotonic() - began < 5
    assert await content(rig, file) == b"a document"


async def test_nothing_but_a_web_address_is_fetched(rig: Rig) -> None:
    assert isinstance(await fault_of(rig, RemoteFile("a", "", 1, "file:///etc/passwd")), FetchFailed)

"""These tests check that files in Slack are fetched with the bot's token, which is sent to Slack alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from aiohttp import web

from channels.base import InboundMessage, RemoteFile
from channels.errors import FetchFailed, Unreachable
from channels.slack.files import MOST_BYTES, TOO_BIG
from tests.platforms.slack_behaviours import failing, hang, html, too_many_requests
from tests.platforms.slack_rig import QUICK, Rig, open_rig
from tests.platforms.slack_server import DOWNLOAD, Call, File

PICTURE = File("cat.png", b"\x89PNG...", "image/png")


async def sent(rig: Rig, *files: File, text: str = "") -> tuple[RemoteFile, ...]:
    """Let Ada send files, and return them as they were taken in."""
    await rig.opened()
    rig.server.post(text, files=files)
    [message] = await rig.takes(1)
    assert isinstance(message, InboundMessage)
    return message.files


async def fetched(rig: Rig, file: RemoteFile) -> bytes:
    """Return a file's bytes."""
    return b"".join([block async for block in rig.channel.fetch(file)])


def redirecting(address: str) -> Callable[[Call], Awaitable[web.StreamResponse]]:
    """Send who asks to another address."""

    async def behave(_call: Call) -> web.StreamResponse:
        return web.Response(status=302, headers={"Location": address})

    return behave


async def test_files_come_with_their_words_names_and_bytes() -> None:
    async with open_rig() as rig, rig.running():
        picture, notes = await sent(rig, PICTURE, File(content=b"x" * 200_000), text="look")

        assert (picture.name, picture.media_type, picture.size_bytes) == ("cat.png", "image/png", 7)
        assert await fetched(rig, picture) == PICTURE.content
        assert await fetched(rig, notes) == b"x" * 200_000
        assert rig.texts == ["look"]


async def test_a_file_of_which_a_message_tells_only_the_id_is_asked_for() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, replace(PICTURE, is_hidden=True))

        assert await fetched(rig, file) == PICTURE.content
        assert rig.called("files.info") == 1


@pytest.mark.parametrize("size", [MOST_BYTES + 1, 10 * MOST_BYTES])
async def test_a_file_too_big_is_said_to_be_and_not_asked_for(size: int) -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, File(size=size))

        assert file.unread == TOO_BIG
        with pytest.raises(FetchFailed, match="over 20 MB"):
            await fetched(rig, file)
        assert rig.called(DOWNLOAD) == 0


@pytest.mark.parametrize(("media_type", "says"), [("audio/mp4", "listen"), ("video/mp4", "watch")])
async def test_what_cannot_be_read_is_said_to_be_unread(media_type: str, says: str) -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, File("clip", b"...", media_type))

        assert says in file.unread


async def test_a_page_in_place_of_a_file_is_a_scope_that_is_missing() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.tokens.scopes.remove("files:read")

        with pytest.raises(FetchFailed, match="files:read"):
            await fetched(rig, file)
        assert rig.channel.health.counts["files_refused"] == 1


async def test_a_page_that_somebody_sends_is_a_file() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, File("page.html", b"<html>", "text/html"))

        assert await fetched(rig, file) == b"<html>"


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:9/x",
        "https://slack.com.evil.example/x",
        "https://user@127.0.0.1/",
        "https://user:word@files.slack.com/x",
    ],
)
async def test_the_token_goes_to_no_other_host_not_even_when_sent_there(address: str) -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.enqueue(DOWNLOAD, redirecting(address))
        for ref in (file.ref, address):
            with pytest.raises(FetchFailed, match="kept outside Slack"):
                await fetched(rig, replace(file, ref=ref))

        assert rig.called(DOWNLOAD) == 1


@pytest.mark.parametrize(
    ("address", "is_ours"),
    [
        ("https://files.slack.com/files-pri/T1-F1/x", True),
        ("https://slack.com/x", True),
        ("http://files.slack.com/x", False),
        ("https://files.slack.com:8443/x", False),
        ("https://notslack.com/x", False),
        ("https://files.slack.com.example.com/x", False),
        ("https://[broken", False),
        ("file:///etc/passwd", False),
        ("", False),
    ],
)
async def test_what_is_slacks_is_told_by_its_host(address: str, is_ours: bool) -> None:
    async with open_rig() as rig:
        assert (rig.channel._connection.authorization(address) is not None) == is_ours


async def test_redirects_within_slack_are_followed_but_not_for_ever() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.enqueue(DOWNLOAD, redirecting(file.ref))

        assert await fetched(rig, file) == PICTURE.content

        rig.server.enqueue(DOWNLOAD, *[redirecting(file.ref)] * 9)
        with pytest.raises(FetchFailed):
            await fetched(rig, file)


async def test_a_redirect_that_is_no_address_is_a_file_that_is_not_given() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.enqueue(DOWNLOAD, redirecting("http://["))

        with pytest.raises(FetchFailed, match="files:read"):
            await fetched(rig, file)


async def test_a_file_that_is_gone_is_said_to_be() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.enqueue(DOWNLOAD, html(404))

        with pytest.raises(FetchFailed, match="does not give me"):
            await fetched(rig, file)


@pytest.mark.parametrize("behaviour", [failing(), too_many_requests(1), hang()])
async def test_a_file_can_be_had_later_when_slack_cannot_be_asked(behaviour: Callable[..., Awaitable]) -> None:  # type: ignore[type-arg]
    async with open_rig(replace(QUICK, call_seconds=0.3)) as rig, rig.running():
        [file] = await sent(rig, PICTURE)
        rig.server.enqueue(DOWNLOAD, behaviour)

        with pytest.raises(Unreachable):
            await fetched(rig, file)
        assert await fetched(rig, file) == PICTURE.content


async def test_a_file_larger_than_it_was_said_to_be_is_given_up() -> None:
    async with open_rig() as rig, rig.running():
        [file] = await sent(rig, File(content=b"x" * (MOST_BYTES + 10), size=5))

        with pytest.raises(FetchFailed, match="over 20 MB"):
            await fetched(rig, file)

"""These tests check that parsing any Discord message ends with an inbound value or a reason."""

from __future__ import annotations

from typing import Any

import discord
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.base import InboundEdit, InboundMessage
from channels.discord.attention import Me
from channels.discord.connection import Connection
from channels.discord.faults import UNREADABLE
from channels.discord.library import build_intents
from channels.discord.parse import MOST_AUTHORS, Ignored, Reader
from channels.discord.rooms import Room, room_id, room_of
from channels.discord.waits import WAITS
from channels.settings import DiscordSettings

ME = Me(9, "agentd")
CLIENT = discord.Client(intents=build_intents(reads_guilds=True))
JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just("1" * 30), st.just("\ud800")),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["id", "type"]), inner)),
    max_leaves=4,
)


def raw(**more: Any) -> dict[str, Any]:
    """Return a message of a person's."""
    author = {"id": "7", "username": "ada", "discriminator": "0", "avatar": None, "global_name": "Ada"}
    parts = {"attachments": [], "embeds": [], "mentions": [], "mention_roles": [], "components": [], "flags": 0}
    return {
        "id": "1574916934628016133",
        "channel_id": "8",
        "type": 0,
        "content": "hello",
        "author": author,
        "edited_timestamp": None,
        **parts,
        **more,
    }


def message(**more: Any) -> discord.Message:
    """Let the library read it."""
    channel: Any = CLIENT.get_partial_messageable(8)
    parts: Any = raw(**more)
    return discord.Message(state=CLIENT._connection, channel=channel, data=parts)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from(sorted(raw())), JUNK, max_size=3))
def test_nothing_that_comes_makes_reading_fail(junk: dict[str, Any]) -> None:
    try:
        built = message(**junk)
    except UNREADABLE:
        return
    reader = Reader(ME, "mention")

    for is_direct in (True, False):
        assert isinstance(reader.read_message(built, is_direct=is_direct), InboundMessage | Ignored)
        assert isinstance(reader.read_edit(built, is_direct=is_direct), InboundEdit | Ignored)


def test_halves_of_characters_are_made_whole() -> None:
    read = Reader(ME, "mention").read_message(message(content="a\ud800b"), is_direct=True)

    assert isinstance(read, InboundMessage)
    assert read.text == "a\N{REPLACEMENT CHARACTER}b"


def test_a_name_that_is_not_one_persons_is_none_to_be_listed_by() -> None:
    author = raw()["author"] | {"discriminator": "1234"}
    read = Reader(ME, "mention").read_message(message(author=author), is_direct=True)

    assert isinstance(read, InboundMessage)
    assert read.author.username == ""


def test_authors_are_remembered_to_a_bound() -> None:
    reader = Reader(ME, "mention")
    for number in range(MOST_AUTHORS + 5):
        reader.read_message(message(id=str(number + 1)), is_direct=True)

    assert not reader.knows(5)
    assert reader.knows(6)
    assert reader.author_of(MOST_AUTHORS + 5) is not None


def test_the_place_of_a_thread_is_its_channel_and_the_thread() -> None:
    read = Reader(ME, "mention").read_message(message(), is_direct=True)
    assert isinstance(read, InboundMessage)
    placed = Room("5", "8").place(read)

    assert (placed.address.chat, placed.address.thread, placed.is_direct) == ("5", "8", False)
    assert room_id(placed.address) == 8
    assert room_of(object()) is None


def test_the_token_is_taken_out_of_a_text() -> None:
    connection = Connection(DiscordSettings.model_validate({"token": "a.b+c.d"}), float, WAITS)

    assert connection.clean("Bot a.b+c.d, aXbc.d") == "Bot <secret>, aXbc.d"

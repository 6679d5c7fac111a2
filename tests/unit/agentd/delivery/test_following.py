"""A chat that has another id by now: it is written to there, and what stands in the old one is left alone."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agentd.delivery.following import FollowingScreen
from channels.base import Address
from channels.errors import ChatMoved, SendFailed
from channels.markup.rich import RichText, plain
from tests.fakes.channel import FakeChannel

OLD = Address("fake", "bot", "old")


class Moving(FakeChannel):
    """A platform whose chats have moved, each to the next of a list."""

    def __init__(self, *chats: str) -> None:
        super().__init__()
        self.next = dict(pairwise(chats))
        self.seen: list[tuple[str, str, str]] = []
        self.typed: list[str] = []

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        self._look(to)
        self.seen.append(("send", to.chat, text.text))
        return await super().send(to, text, nonce)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        self._look(to)
        self.seen.append(("edit", to.chat, message_id))

    async def delete(self, to: Address, message_id: str) -> None:
        self._look(to)
        self.seen.append(("delete", to.chat, message_id))

    async def show_typing(self, to: Address) -> None:
        self._look(to)
        self.typed.append(to.chat)

    def _look(self, to: Address) -> None:
        if to.chat in self.next:
            raise ChatMoved("it has moved", self.next[to.chat])


def screen_of(channel: Moving) -> FollowingScreen:
    return FollowingScreen(channel, channel.aliases)


async def test_a_chat_that_never_moved_is_called_as_it_is() -> None:
    channel = Moving()
    message_id = await screen_of(channel).send(OLD, plain("a"), "n")
    await screen_of(channel).edit(OLD, message_id, plain("b"))

    assert message_id == "m0"
    assert channel.seen == [("send", "old", "a"), ("edit", "old", "m0")]


async def test_a_chat_that_moves_while_it_is_written_to_gets_the_text_in_its_new_place_once() -> None:
    channel = Moving("old", "new")
    message_id = await screen_of(channel).send(OLD, plain("a"), "n")

    assert channel.seen == [("send", "new", "a")]
    assert message_id == "new/m0"
    assert channel.aliases.current("fake", "bot", "old") == "new"


async def test_what_was_sent_after_the_move_is_changed_and_removed_there() -> None:
    channel = Moving("old", "new")
    screen = screen_of(channel)
    message_id = await screen.send(OLD, plain("a"), "n")
    await screen.edit(OLD, message_id, plain("b"))
    await screen.delete(OLD, message_id)

    assert channel.seen[1:] == [("edit", "new", "m0"), ("delete", "new", "m0")]


async def test_what_was_sent_before_the_move_is_not_changed_any_more_under_an_id_that_may_be_anothers() -> None:
    channel = Moving()
    screen = screen_of(channel)
    message_id = await screen.send(OLD, plain("a"), "n")
    channel.next = {"old": "new"}
    with pytest.raises(SendFailed, match="before the chat moved"):
        await screen.edit(OLD, message_id, plain("b"))
    with pytest.raises(SendFailed, match="before the chat moved"):
        await screen.delete(OLD, message_id)

    assert channel.seen == [("send", "old", "a")]


async def test_the_sign_of_typing_follows_too() -> None:
    channel = Moving("old", "new")
    await screen_of(channel).show_typing(OLD)

    assert channel.typed == ["new"]


async def test_a_chat_that_moves_again_and_again_is_given_up() -> None:
    channel = Moving("old", "1", "2", "3", "4")
    with pytest.raises(SendFailed, match="again and again"):
        await screen_of(channel).send(OLD, plain("a"), "n")

    assert channel.seen == []

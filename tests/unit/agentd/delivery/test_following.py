"""These tests check that sending follows a chat that moves, and that ids of its places are not confused."""

from __future__ import annotations

import pytest

from agentd.delivery.following import MOST_MOVES, FollowingScreen
from agentd.errors import StorageError
from agentd.state.aliases import ChatAliases
from channels.base import Address
from channels.errors import ChatMoved, NotSent, SendFailed
from channels.markup.rich import PLAIN, RichText, plain

HERE = Address("fake", "bot", "old")
TEXT = plain("Hello")


class Aliases:
    """The real chains, without a database."""

    def __init__(self) -> None:
        self._known = ChatAliases()
        self.canonical, self.current = self._known.canonical, self._known.current

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        return self._known.add(channel, account, old, new)


class Town:
    """A screen of chats that move."""

    streams = True
    dialect = PLAIN
    nonce_seconds = 0.0
    typing_seconds = 5.0

    def __init__(self, **moves: str) -> None:
        self.moves = moves
        self.done: list[tuple[str, str, str]] = []

    def _do(self, what: str, to: Address, message_id: str = "") -> None:
        if to.chat in self.moves:
            raise ChatMoved("moved", self.moves[to.chat])
        self.done.append((what, to.chat, message_id))

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        del text, nonce
        self._do("send", to)
        return "5"

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        del text
        self._do("edit", to, message_id)

    async def delete(self, to: Address, message_id: str) -> None:
        self._do("delete", to, message_id)

    async def show_typing(self, to: Address) -> None:
        self._do("type", to)


async def test_in_a_chat_that_never_moved_ids_are_the_platforms() -> None:
    town = Town()
    screen = FollowingScreen(town, Aliases())
    message_id = await screen.send(HERE, TEXT, "")
    await screen.edit(HERE, message_id, TEXT)
    await screen.delete(HERE, message_id)

    assert message_id == "5"
    assert town.done == [("send", "old", ""), ("edit", "old", "5"), ("delete", "old", "5")]


async def test_a_move_that_a_refusal_tells_of_is_followed_and_kept() -> None:
    town, aliases = Town(old="new"), Aliases()
    screen = FollowingScreen(town, aliases)
    message_id = await screen.send(HERE, TEXT, "")
    await screen.edit(HERE, message_id, TEXT)
    await screen.show_typing(HERE)

    assert message_id == "new/5"
    assert aliases.current("fake", "bot", "old") == "new"
    assert town.done == [("send", "new", ""), ("edit", "new", "5"), ("type", "new", "")]


@pytest.mark.parametrize("message_id", ["5", "newer/5"])
async def test_what_was_sent_elsewhere_is_not_taken_for_a_message_here(message_id: str) -> None:
    aliases = Aliases()
    await aliases.add_alias("fake", "bot", "old", "new")
    town = Town()
    screen = FollowingScreen(town, aliases)

    with pytest.raises(SendFailed):
        await screen.edit(HERE, message_id, TEXT)
    with pytest.raises(SendFailed):
        await screen.delete(HERE, message_id)
    assert town.done == []


async def test_what_was_sent_between_two_moves_stays_there() -> None:
    aliases = Aliases()
    screen = FollowingScreen(Town(old="new"), aliases)
    message_id = await screen.send(HERE, TEXT, "")
    await aliases.add_alias("fake", "bot", "new", "newest")

    with pytest.raises(SendFailed):
        await screen.edit(HERE, message_id, TEXT)


async def test_an_edit_that_learns_of_the_move_is_refused_there() -> None:
    screen = FollowingScreen(Town(old="new"), Aliases())

    with pytest.raises(SendFailed):
        await screen.edit(HERE, "5", TEXT)


async def test_several_moves_in_a_row_are_followed() -> None:
    town = Town(old="new", new="newest")
    message_id = await FollowingScreen(town, Aliases()).send(HERE, TEXT, "")

    assert message_id == "newest/5"


async def test_a_chat_that_moves_round_and_round_is_not() -> None:
    town = Town(**{("old" if number == 0 else f"c{number}"): f"c{number + 1}" for number in range(MOST_MOVES)})

    with pytest.raises(SendFailed):
        await FollowingScreen(town, Aliases()).send(HERE, TEXT, "")


async def test_other_chats_and_accounts_stay_where_they_are() -> None:
    town = Town(old="new")
    screen = FollowingScreen(town, Aliases())
    await screen.send(HERE, TEXT, "")
    await screen.send(Address("fake", "bot", "other"), TEXT, "")

    assert [chat for _, chat, _ in town.done] == ["new", "other"]


class Full(Aliases):
    """Chains that cannot be kept now."""

    async def add_alias(self, channel: str, account: str, old: str, new: str) -> bool:
        raise StorageError("the database is locked")


async def test_a_move_that_cannot_be_kept_now_is_a_call_that_has_not_arrived() -> None:
    screen = FollowingScreen(Town(old="new"), Full())

    with pytest.raises(NotSent, match="locked"):
        await screen.send(HERE, TEXT, "n")
    with pytest.raises(NotSent, match="locked"):
        await screen.show_typing(HERE)

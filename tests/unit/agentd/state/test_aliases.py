from __future__ import annotations

import itertools
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.errors import StorageError
from agentd.state.aliases import ChatAliases
from agentd.state.state import open_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CHATS = st.sampled_from("abcdef")


def chain(*chats: str) -> ChatAliases:
    return ChatAliases(("telegram", "bot", old, new) for old, new in itertools.pairwise(chats))


def canonical(aliases: ChatAliases, chat: str) -> str:
    return aliases.canonical("telegram", "bot", chat)


def current(aliases: ChatAliases, chat: str) -> str:
    return aliases.current("telegram", "bot", chat)


def test_a_chain_is_followed_both_ways_from_any_of_its_ids() -> None:
    aliases = chain("a", "b", "c")

    assert {canonical(aliases, chat) for chat in "abc"} == {"a"}
    assert {current(aliases, chat) for chat in "abc"} == {"c"}


def test_what_never_changed_is_itself() -> None:
    aliases = chain("a", "b")

    assert (canonical(aliases, "x"), current(aliases, "x")) == ("x", "x")
    assert aliases.canonical("telegram", "other bot", "b") == "b"
    assert aliases.current("discord", "bot", "a") == "a"


def test_the_order_of_the_changes_does_not_matter() -> None:
    aliases = ChatAliases([("telegram", "bot", "b", "c"), ("telegram", "bot", "a", "b")])

    assert (canonical(aliases, "c"), current(aliases, "a")) == ("a", "c")


@pytest.mark.parametrize(("old", "new"), [("a", "c"), ("x", "b"), ("c", "a"), ("b", "a"), ("x", "x")])
def test_a_change_that_contradicts_an_earlier_one_is_refused(old: str, new: str) -> None:
    aliases = chain("a", "b", "c")

    assert not aliases.add("telegram", "bot", old, new)
    assert [current(aliases, chat) for chat in "abc"] == ["c"] * 3


def test_a_change_that_comes_again_is_known() -> None:
    assert chain("a", "b").add("telegram", "bot", "a", "b")


@given(st.lists(st.tuples(CHATS, CHATS), max_size=20))
def test_whatever_changes_come_the_ids_of_a_chat_agree(changes: list[tuple[str, str]]) -> None:
    """Nor does any look-up run in circles, or the test would not end."""
    aliases = ChatAliases()
    added = [change for change in changes if aliases.add("telegram", "bot", *change)]

    for chat in "abcdef":
        assert canonical(aliases, current(aliases, chat)) == canonical(aliases, chat)
        assert current(aliases, canonical(aliases, chat)) == current(aliases, chat)
    for old, new in added:
        assert current(aliases, old) == current(aliases, new)


async def test_a_change_is_known_at_once_and_in_later_runs(tmp_path: Path) -> None:
    async with open_state(tmp_path / "state.db", "1", lambda: NOW) as state:
        assert await state.aliases.add_alias("telegram", "bot", "-4", "-100")
        assert await state.aliases.add_alias("telegram", "bot", "-4", "-100")
        assert not await state.aliases.add_alias("telegram", "bot", "-100", "-4")
        assert state.aliases.canonical("telegram", "bot", "-100") == "-4"
    async with open_state(tmp_path / "state.db", "2", lambda: NOW) as state:
        assert state.aliases.canonical("telegram", "bot", "-100") == "-4"
        assert state.aliases.current("telegram", "bot", "-4") == "-100"


async def test_a_change_that_is_not_on_disk_is_not_known_and_that_is_said(tmp_path: Path) -> None:
    async with open_state(tmp_path / "missing" / "state.db", "1", lambda: NOW) as state:
        with pytest.raises(StorageError, match=r"state\.db cannot be used \(.*No such file"):
            await state.aliases.add_alias("telegram", "bot", "-4", "-100")

        assert state.aliases.canonical("telegram", "bot", "-100") == "-100"

"""These tests check that texts and entities are checked, cleaned, trimmed and kept as the real server does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.platforms.botapi.answers import Refused
from tests.platforms.botapi.links import WrongLink, read_link
from tests.platforms.botapi.texts import cut_pasted, read_text, units
from tests.platforms.telegram_clients import RawClient, open_raw
from tests.platforms.telegram_server import MOST_UNITS, styles


@pytest.fixture
async def bot() -> AsyncIterator[RawClient]:
    async with open_raw() as client:
        client.server.post("one")
        yield client


def entity(kind: str, offset: int, length: int, **more: object) -> dict[str, object]:
    return {"type": kind, "offset": offset, "length": length, **more}


@pytest.mark.parametrize(
    ("text", "entities", "words"),
    [
        ("", [], "message text is empty"),
        (" \n ", [], "text must be non-empty"),
        ("\u200b\u00a0", [], "text must be non-empty"),
        ("a" * (MOST_UNITS + 1), [], "message is too long"),
        ("😀" * (MOST_UNITS // 2) + "a", [], "message is too long"),
        ("€" * 11_000, [], "text is too long"),
        ("abc", [entity("bold", -1, 2)], "receive an entity with incorrect offset -1"),
        ("abc", [entity("bold", 0, -2)], "receive an entity with incorrect length -2"),
        ("abc", [entity("bold", 4, 1)], "entity begins after the end of the text at UTF-16 offset 4"),
        (
            "abc",
            [entity("bold", 1, 3)],
            "entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 4",
        ),
        ("a😀b", [entity("bold", 2, 1)], "entity begins in a middle of a UTF-16 symbol at byte offset 5"),
        (
            "a😀b",
            [entity("bold", 0, 2)],
            "entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 5",
        ),
        ("abc", [entity("loud", 0, 1)], "can't parse MessageEntity: Unsupported type specified"),
        ("abc", [entity("text_link", 0, 1)], "can't parse MessageEntity: Can't find field \"url\""),
        (
            "abc",
            [entity("text_link", 0, 1, url="/docs")],
            "entity URL '/docs' is invalid: URL host is empty",
        ),
    ],
)
async def test_a_text_that_telegram_refuses_is_refused_in_its_words(
    text: str, entities: Sequence[object], words: str, bot: RawClient
) -> None:
    assert await bot.text_refusal(text, *entities) == words
    assert bot.server.screen() == []


async def test_a_text_is_trimmed_and_its_entities_move_along(bot: RawClient) -> None:
    entities = [entity("bold", 3, 1), entity("code", 5, 4), entity("italic", 8, 2)]
    sent = await bot.result("sendMessage", chat_id=7, text=" \n a b  \n ", entities=entities)

    assert sent["text"] == "a b"
    assert sent["entities"] == [entity("bold", 0, 1), entity("code", 2, 1)]


async def test_control_characters_are_replaced_and_what_is_never_shown_goes(bot: RawClient) -> None:
    sent = await bot.result("sendMessage", chat_id=7, text="a\tb\r\nc\u2028d", entities=[entity("bold", 4, 3)])

    assert sent["text"] == "a b\ncd"
    assert sent["entities"] == [entity("bold", 3, 2)]


async def test_text_of_exactly_the_limit_and_a_hundred_entities_are_taken(bot: RawClient) -> None:
    entities = [entity("bold", 2 * number, 1) for number in range(101)]
    sent = await bot.result("sendMessage", chat_id=7, text="a" * MOST_UNITS, entities=entities)

    assert len(sent["text"]) == MOST_UNITS
    assert sent["entities"] == entities[:100]
    assert bot.server.methods.dropped == entities[100:]


async def test_entities_that_do_not_fit_together_are_dropped_and_noted(bot: RawClient) -> None:
    link, code = entity("text_link", 0, 9, url="http://a.b/"), entity("code", 2, 3)
    sent = await bot.result("sendMessage", chat_id=7, text="abcdefghij", entities=[code, link, entity("url", 0, 3)])
    bold = await bot.result("sendMessage", chat_id=7, text="abcdefghij", entities=[entity("bold", 0, 9), code])

    assert sent["entities"] == [link]
    assert bot.server.methods.dropped == [code]
    assert bold["entities"] == [entity("bold", 0, 2), code, entity("bold", 5, 4)]
    assert styles(bot.server.screen()[1]) == [
        ("ab", frozenset({"bold"})),
        ("cde", frozenset({"code"})),
        ("fghi", frozenset({"bold"})),
        ("j", frozenset()),
    ]


async def test_formatting_alone_is_a_change_and_none_is_refused(bot: RawClient) -> None:
    bold = [entity("bold", 0, 1)]
    sent = await bot.result("sendMessage", chat_id=7, text="a", entities=bold)
    where = {"chat_id": 7, "message_id": sent["message_id"]}
    same = await bot.refusal("editMessageText", **where, text=" a ", entities=[entity("bold", 1, 1)])
    changed = await bot.result("editMessageText", **where, text="a")

    assert same[1].startswith("Bad Request: message is not modified: specified new message content")
    assert "entities" not in changed
    assert bot.server.screen()[0].entities == ()


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("http://Example.com", "http://example.com/"),
        ("example.com/A b?c#d", "http://example.com/A%20b?c#d"),
        ("HTTPS://u:p@example.com:0443/", "https://u:p@example.com:443/"),
        ("https://例え.jp/道", "https://例え.jp/道"),
        ("mailto:ann@example.com", "http://mailto:ann@example.com/"),
        ("http://[::1]:80/", "http://[::1]:80/"),
        ("tg://user?id=7", "tg://user?id=7"),
        ("TON:abc", "ton://abc/"),
    ],
)
def test_an_address_is_kept_as_the_real_server_writes_it(address: str, kept: str) -> None:
    assert read_link(address) == kept


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("", "URL host is empty"),
        ("#top", "URL host is empty"),
        ("ftp://example.com", "Unsupported URL protocol"),
        ("javascript:alert", "Wrong port number specified in the URL"),
        ("http://localhost/", "Wrong HTTP URL"),
        ("http://a b.c", "Disallowed character in URL host"),
        ("http://a%zz.c", "Wrong percent-encoded symbol in URL host"),
        ("http://u|v@a.b", "Disallowed character in URL userinfo"),
        ("http://a.b:99999", "Wrong port number specified in the URL"),
        ("http://[x]/", "Wrong IPv6 address specified in the URL"),
        ("http://./", "Host is invalid"),
        ("tg:https://a.b", "Wrong tg URL"),
        ("tg://a.b", "Unallowed characters in URL host"),
    ],
)
def test_an_address_that_no_link_can_have_is_refused(address: str, words: str) -> None:
    with pytest.raises(WrongLink) as fault:
        read_link(address)

    assert str(fault.value) == f"URL '{address}' is invalid: {words}"


@given(
    st.text(),
    st.lists(st.tuples(st.sampled_from(("bold", "code", "blockquote")), st.integers(0, 9), st.integers(0, 9))),
)
def test_what_is_kept_lies_within_the_text_and_reading_it_again_changes_nothing(
    text: str, sent: list[tuple[str, int, int]]
) -> None:
    try:
        read = read_text(text, [entity(*each) for each in sent])
    except Refused:
        return

    assert all(0 <= kept["offset"] < kept["offset"] + kept["length"] <= units(read.text) for kept in read.entities)
    again = read_text(read.text, read.entities)
    assert (again.text, again.entities, again.dropped) == (read.text, read.entities, ())


@given(st.text(alphabet="ab \n😀", max_size=40).map(lambda text: text * 700))
def test_a_pasted_text_is_cut_into_messages_without_losing_anything(text: str) -> None:
    pieces = cut_pasted(text)

    assert "".join(pieces) == text
    assert all(units(piece) <= MOST_UNITS for piece in pieces)

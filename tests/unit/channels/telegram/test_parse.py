"""These tests check how Telegram's updates are parsed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.base import Address, Author, InboundEdit, InboundMessage, InboundMove
from channels.telegram.attention import Attention, Me
from channels.telegram.files import TOO_BIG
from channels.telegram.library import tame_library
from channels.telegram.parse import MOST_ALBUMS, Ignored, Read, Reader, Standing

ADA = {"id": 7, "is_bot": False, "first_name": "Ada", "last_name": "L", "username": "ada"}
PRIVATE = {"id": 7, "type": "private", "first_name": "Ada"}
GROUP = {"id": -5, "type": "group", "title": "Ours"}
FORUM = {"id": -1_000_000_000_005, "type": "supergroup", "title": "Forum", "is_forum": True}
BOT = {"id": 100, "is_bot": True, "first_name": "Agentd"}
FILE = {"file_id": "id", "file_unique_id": "unique"}


def reader(groups: Attention = "all") -> Reader:
    tame_library()
    return Reader(Me(100, "agentd_bot"), groups)


def update(kind: str = "message", update_id: int = 1, /, **content: Any) -> dict[str, Any]:
    message = {"message_id": 3, "date": 1_700_000_000, "chat": PRIVATE, "from": ADA, **content}
    return {"update_id": update_id, kind: {name: value for name, value in message.items() if value is not None}}


def read(raw: dict[str, Any], groups: Attention = "all") -> Any:
    [found] = reader(groups).read([raw])
    return found.content


def test_a_message_in_private() -> None:
    assert read(update(text="hello")) == InboundMessage(
        Address("telegram", "100", "7"),
        Author("7", "Ada L", "ada"),
        "3",
        datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC),
        "hello",
    )


@pytest.mark.parametrize("kind", ["message", "edited_message"])
def test_a_group_is_not_private_and_a_code_is_not_shown_there(kind: str) -> None:
    when = {"edit_date": 1_700_000_060} if kind == "edited_message" else {}
    found = read(update(kind, chat=GROUP, text="hello", **when), "all")

    assert isinstance(found, InboundMessage | InboundEdit)
    assert not found.is_direct


def test_an_edit_has_the_time_of_the_edit() -> None:
    assert read(update("edited_message", text="hello", edit_date=1_700_000_060)) == InboundEdit(
        Address("telegram", "100", "7"),
        Author("7", "Ada L", "ada"),
        "3",
        datetime(2023, 11, 14, 22, 14, 20, tzinfo=UTC),
        "hello",
    )


@pytest.mark.parametrize(
    ("more", "thread"),
    [
        ({"message_thread_id": 9, "is_topic_message": True}, "9"),
        ({"message_thread_id": 9}, None),
        ({}, None),
    ],
    ids=["a topic", "a thread of replies", "General"],
)
def test_only_a_topic_is_a_place_of_its_own(more: dict[str, Any], thread: str | None) -> None:
    [found] = reader().read([update(text="a", chat=FORUM, **more)])

    assert isinstance(found.content, InboundMessage)
    assert found.content.address == Address("telegram", "100", str(FORUM["id"]), thread)
    assert found.is_forum


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"from": None, "text": "a"}, "nobody"),
        ({"sender_chat": GROUP, "from": BOT, "text": "an anonymous administrator"}, "nobody"),
        ({"sender_chat": {"id": -9, "type": "channel", "title": "a"}, "from": ADA, "text": "a channel"}, "nobody"),
        ({"from": {**BOT, "id": 101}, "text": "another bot"}, "bot"),
        ({"new_chat_members": [ADA]}, "service"),
        ({"left_chat_member": ADA}, "service"),
        ({"new_chat_title": "a"}, "service"),
        ({"delete_chat_photo": True}, "service"),
        ({"group_chat_created": True}, "service"),
        ({"message_auto_delete_timer_changed": {"message_auto_delete_time": 5}}, "service"),
        ({"forum_topic_created": {"name": "a", "icon_color": 1}}, "service"),
        ({"forum_topic_closed": {}}, "service"),
        ({"something_new": {"a": 1}}, "service"),
    ],
)
def test_what_nobody_said_is_ignored_and_counted_by_its_reason(more: dict[str, Any], reason: str) -> None:
    assert read(update(chat=GROUP, **more)) == Ignored(reason)


def test_what_a_person_forwards_or_sends_through_a_bot_is_the_persons() -> None:
    forwarded = {"forward_origin": {"type": "hidden_user", "date": 1, "sender_user_name": "Eve"}}

    assert isinstance(read(update(text="a", **forwarded)), InboundMessage)
    assert isinstance(read(update(text="a", via_bot={**BOT, "id": 101})), InboundMessage)


def test_only_what_is_said_in_private_is_direct() -> None:
    inbound = [read(update(chat=chat, text="@agentd_bot a"), "all") for chat in (PRIVATE, GROUP, FORUM)]

    assert [getattr(found, "is_direct", None) for found in inbound] == [True, False, False]


def test_both_messages_of_a_move_say_the_same() -> None:
    move = InboundMove(Address("telegram", "100", "-5"), str(FORUM["id"]))
    anonymous = {"sender_chat": GROUP, "from": {**BOT, "id": 101}}

    assert read(update(chat=GROUP, migrate_to_chat_id=FORUM["id"], **anonymous), "off") == move
    assert read(update(chat=FORUM, migrate_from_chat_id=-5), "off") == move
    assert reader().read([update(chat=GROUP, migrate_to_chat_id=FORUM["id"])])[0].moves


@pytest.mark.parametrize(
    ("text", "goes_on"),
    [("a" * 4096, True), ("a" * 4000, True), ("a" * 3999, False), ("😀" * 2000, True), ("😀" * 1999, False)],
)
def test_a_text_that_a_client_may_have_cut_goes_on(text: str, *, goes_on: bool) -> None:
    assert read(update(text=text)).goes_on == goes_on


@pytest.mark.parametrize(
    ("status", "is_member"),
    [("member", True), ("administrator", True), ("kicked", False), ("left", False)],
)
def test_a_change_of_membership_says_whether_the_bot_may_write(status: str, *, is_member: bool) -> None:
    rights = dict.fromkeys(
        (
            *("can_be_edited", "is_anonymous", "can_manage_chat", "can_delete_messages", "can_manage_video_chats"),
            *("can_restrict_members", "can_promote_members", "can_change_info", "can_invite_users"),
            *("can_post_stories", "can_edit_stories", "can_delete_stories"),
        ),
        False,
    )
    member = {"user": BOT, "status": status, "until_date": 0, **rights}
    change = {"old_chat_member": {"user": BOT, "status": "left"}, "new_chat_member": member}
    [found] = reader().read([update("my_chat_member", chat=GROUP, **change)])

    assert (found.chat, found.content) == ("-5", Standing(is_member))


def test_an_edit_in_a_group_is_taken_whoever_it_names_but_not_where_groups_are_off() -> None:
    edit = update("edited_message", chat=GROUP, text="hi all", edit_date=1_700_000_060)

    assert isinstance(read(edit, "mention"), InboundEdit)
    assert read(edit, "off") == Ignored("unaddressed")


def test_a_place_that_moves_is_no_edit() -> None:
    place = {"location": {"latitude": 1.0, "longitude": 2.0, "live_period": 60}}

    assert read(update("edited_message", edit_date=1_700_000_060, **place)) == Ignored("location")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"voice": {**FILE, "duration": 1}}, "voice messages"),
        ({"audio": {**FILE, "duration": 1}}, "audio files"),
        ({"video": {**FILE, "duration": 1, "width": 1, "height": 1}}, "videos"),
        ({"video_note": {**FILE, "duration": 1, "length": 1}}, "video messages"),
        (
            {"animation": {**FILE, "duration": 1, "width": 1, "height": 1}, "document": {**FILE, "file_name": "a.mp4"}},
            "animations",
        ),
        (
            {
                "sticker": {**FILE, "type": "regular", "width": 1, "height": 1, "is_animated": False, "is_video": False}
                | {"emoji": "🌧"}
            },
            "stickers (this one stands for 🌧)",
        ),
        ({"location": {"latitude": 1.0, "longitude": 2.0}}, "locations"),
        (
            {
                "venue": {"location": {"latitude": 1.0, "longitude": 2.0}, "title": "a", "address": "b"},
                "location": {"latitude": 1.0, "longitude": 2.0},
            },
            "venues",
        ),
        ({"contact": {"phone_number": "1", "first_name": "Eve"}}, "contact cards"),
        ({"dice": {"emoji": "🎲", "value": 3}}, "🎲"),
        ({"story": {"chat": PRIVATE, "id": 1}}, "stories"),
    ],
)
def test_each_kind_that_cannot_be_read_has_words_of_its_own(content: dict[str, Any], words: str) -> None:
    message = read(update(**content))
    [file] = message.files

    assert words in file.unread
    assert file.unread.endswith(".")
    assert (file.ref, message.text) == ("", "")


def test_a_photo_over_the_limit_comes_in_a_smaller_size() -> None:
    sizes = [{**FILE, "file_id": name, "width": side, "height": side, "file_size": size} for name, side, size in SIZES]
    [file] = read(update(photo=sizes, caption="look")).files
    [none] = read(update(photo=sizes[2:])).files

    assert (file.ref, file.size_bytes, file.media_type) == ("middle", 2_000, "image/jpeg")
    assert (none.ref, none.unread) == ("", TOO_BIG)


SIZES = (("small", 90, 1_000), ("middle", 900, 2_000), ("huge", 9_000, 50_000_000))


def test_a_document_without_a_name_or_type_has_some() -> None:
    [file] = read(update(document=FILE)).files

    assert (file.name, file.media_type, file.size_bytes, file.ref) == (
        *("file-unique", "application/octet-stream"),
        *(0, "id"),
    )


def test_halves_of_characters_are_replaced_wherever_people_name_things() -> None:
    raw = update(
        caption="a\ud83d",
        document={**FILE, "file_name": "b\udc00.txt", "mime_type": "c\ud800"},
        **{"from": {**ADA, "first_name": "\ud83dA"}},
    )
    message = read(json.loads(json.dumps(raw)))

    assert (message.text, message.author.name) == ("a\ufffd", "\ufffdA L")
    assert (message.files[0].name, message.files[0].media_type) == ("b\ufffd.txt", "c\ufffd")


def album_part(update_id: int, album: str, **more: Any) -> dict[str, Any]:
    photo = [{**FILE, "width": 1, "height": 1}]
    return update("message", update_id, chat=GROUP, photo=photo, media_group_id=album, **more)


NAMED = {"caption": "@agentd_bot", "caption_entities": [{"type": "mention", "offset": 0, "length": 11}]}


def test_the_parts_of_an_album_are_meant_for_whom_its_caption_names() -> None:
    reads = reader("mention")
    first = reads.read([album_part(1, "a"), album_part(2, "b"), album_part(3, "a", **NAMED)])
    later = reads.read([album_part(4, "a"), album_part(5, "b")])

    assert [taken(one) for one in first] == [True, False, True]
    assert [taken(one) for one in later] == [True, False]


def test_albums_are_not_remembered_for_ever() -> None:
    reads = reader("mention")
    for number in range(MOST_ALBUMS + 1):
        reads.read([album_part(number, f"album {number}", **NAMED)])
    [oldest, newest] = reads.read([album_part(1, "album 0"), album_part(2, f"album {MOST_ALBUMS}")])

    assert (taken(oldest), taken(newest)) == (False, True)


def taken(found: Read) -> bool:
    return isinstance(found.content, InboundMessage)


SCALARS = st.sampled_from([None, True, 0, -1, 2**70, "", "a"])
JSON = SCALARS | st.lists(SCALARS, max_size=2) | st.dictionaries(st.sampled_from(["id", "type", "date"]), SCALARS)
NAMES = st.sampled_from(
    [
        *("message_id", "date", "chat", "from", "text", "entities", "photo", "document", "sticker", "poll"),
        *("edit_date", "media_group_id", "reply_to_message", "migrate_to_chat_id", "sender_chat", "caption"),
    ]
)


@given(
    kind=st.sampled_from(["message", "edited_message", "my_chat_member", "poll", "x"]),
    wrong=st.dictionaries(NAMES, JSON, max_size=4),
    whole=st.booleans(),
)
def test_nothing_that_comes_makes_reading_fail(kind: str, wrong: dict[str, Any], *, whole: bool) -> None:
    raw: dict[str, Any] = update(kind, text="a") if whole else {"update_id": 1, kind: {}}
    raw[kind].update(wrong)
    good = update("message", 2, text="after")
    [broken, after] = reader("mention").read([raw, good])

    assert (broken.update_id, after.update_id) == (1, 2)
    assert isinstance(after.content, InboundMessage)


@pytest.mark.parametrize("date", [1, 253_402_300_799])
def test_a_date_at_the_edge_of_time_is_not_believed(date: int) -> None:
    assert read(update(text="hello", date=date)) == Ignored("unparsable")

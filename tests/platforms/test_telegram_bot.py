"""These tests check that python-telegram-bot works with the loopback Telegram as with the real one."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from telegram import Bot, BotCommand, Message, MessageEntity, ReplyParameters, TelegramObject, Update
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden

from tests.platforms.telegram_clients import open_bot
from tests.platforms.telegram_server import Document, Location, Photo, Sound, Sticker, TelegramServer, texts

Opened = tuple[TelegramServer, Bot]

GROUP = -55
FORUM = -1_000_000_000_077
CHANNEL = -1_000_000_000_088


@pytest.fixture
async def opened() -> AsyncIterator[Opened]:
    async with open_bot() as both:
        yield both


async def messages_of(bot: Bot) -> list[Message]:
    """Return what waits, as messages."""
    found = [update.effective_message for update in await bot.get_updates()]
    return [message for message in found if message is not None]


async def test_a_conversation_is_held_with_edits_deletions_and_typing(opened: Opened) -> None:
    server, bot = opened
    server.name_person(7, "Ann", "ann")
    server.post("hello @agentd_bot")
    (update,) = await bot.get_updates(allowed_updates=["message", "edited_message"])
    await bot.get_updates(offset=update.update_id + 1)
    await bot.send_chat_action(7, "typing")
    bold = [MessageEntity(MessageEntity.BOLD, 0, 2)]
    sent = await bot.send_message(7, "hi", entities=bold, reply_parameters=ReplyParameters(1))
    changed = await bot.edit_message_text("hi there", 7, sent.message_id, entities=bold)
    other = await bot.send_message(7, "away")
    await bot.delete_message(7, other.message_id)

    assert update.message is not None
    assert update.message.from_user is not None
    assert update.message.from_user.username == "ann"
    assert update.message.parse_entities(["mention"]) == {update.message.entities[0]: "@agentd_bot"}
    assert server.unconfirmed == []
    assert isinstance(changed, Message)
    assert (changed.text, changed.edit_date is not None) == ("hi there", True)
    assert sent.reply_to_message is not None
    assert sent.reply_to_message.text == "hello @agentd_bot"
    assert [(shown.text, shown.past, shown.entities) for shown in server.screen()] == [
        ("hi there", ["hi"], ({"type": "bold", "offset": 0, "length": 2},))
    ]
    assert [(action.chat, action.action) for action in server.actions] == [(7, "typing")]


async def test_everything_that_people_send_arrives_and_its_files_can_be_downloaded(opened: Opened) -> None:
    server, bot = opened
    server.post("look", media=Photo(b"a picture"))
    server.post("read", media=Document(b"words", "my notes.md", "text/markdown"))
    for kind in ("voice", "video_note", "video", "audio"):
        server.post(media=Sound(kind))
    server.post(media=Sticker())
    server.post(media=Location())
    server.post(media=Document(name=None, mime_type=None))
    received = await messages_of(bot)
    photo, document = received[0].photo, received[1].document
    assert document is not None
    contents = [bytes(await (await bot.get_file(each)).download_as_bytearray()) for each in (photo[-1], document)]

    assert (received[0].caption, received[0].text, len(photo)) == ("look", None, 3)
    assert photo[0].width < photo[-1].width
    assert contents == [b"a picture", b"words"]
    assert (document.file_name, document.mime_type, document.file_size) == ("my notes.md", "text/markdown", 5)
    kinds = ["photo", "document", "voice", "video_note", "video", "audio", "sticker", "location", "document"]
    assert [message.effective_attachment is not None for message in received] == [True] * 9
    assert [kind for kind, message in zip(kinds, received, strict=True) if not getattr(message, kind)] == []


async def test_a_file_of_more_than_20_megabytes_cannot_be_downloaded(opened: Opened) -> None:
    server, bot = opened
    server.post(media=Document(b"", "film.mkv", "video/x-matroska", 20 * 1024 * 1024 + 1))
    (message,) = await messages_of(bot)
    assert message.document is not None

    with pytest.raises(BadRequest, match=r"^File is too big$"):
        await bot.get_file(message.document.file_id)
    with pytest.raises(BadRequest, match=r"^Invalid file_id$"):
        await bot.get_file("none")


async def test_an_album_is_several_messages_of_one_group_with_one_caption(opened: Opened) -> None:
    server, bot = opened
    ids = server.post_album([Photo(), Photo(), Document()], "all of them")
    received = await messages_of(bot)

    assert [message.message_id for message in received] == ids
    assert [message.caption for message in received] == ["all of them", None, None]
    assert len({message.media_group_id for message in received} - {None}) == 1


async def test_a_long_paste_comes_as_several_messages(opened: Opened) -> None:
    server, bot = opened
    words = " ".join(f"word{number}" for number in range(2000))
    ids = server.post_paste(words)
    received = await messages_of(bot)

    assert len(ids) == len(received) == 5
    assert " ".join(message.text or "" for message in received) == words


async def test_edits_of_texts_and_captions_carry_the_id_of_the_message(opened: Opened) -> None:
    server, bot = opened
    first, second = server.post("one"), server.post("two", media=Photo())
    server.post_edit(first, "one, changed")
    server.post_edit(second, "two, changed")
    updates = [update.edited_message for update in await bot.get_updates() if update.edited_message]

    assert [(edited.message_id, edited.text or edited.caption) for edited in updates] == [
        (first, "one, changed"),
        (second, "two, changed"),
    ]
    assert all(edited.edit_date for edited in updates)


async def test_in_groups_people_reply_mention_and_other_bots_speak(opened: Opened) -> None:
    server, bot = opened
    server.name_person(9, "Beep", "beep_bot", is_bot=True)
    server.post("come in", chat=GROUP, sender=8)
    sent = await bot.send_message(GROUP, "here I am")
    server.post("/start@agentd_bot now", chat=GROUP, sender=8, reply_to=sent.message_id)
    server.post("Cy, look", chat=GROUP, sender=9, mentions={"Cy": 10})
    server.post(chat=GROUP, sender=8, service={"new_chat_members": [server.chats.person(11).as_user()]})
    _, replied, mentioned, service = await messages_of(bot)

    assert replied.chat.type == "group"
    assert replied.reply_to_message is not None
    assert replied.reply_to_message.from_user is not None
    assert replied.reply_to_message.from_user.id == bot.id
    assert list(replied.parse_entities(["bot_command"]).values()) == ["/start@agentd_bot"]
    assert mentioned.from_user is not None
    assert mentioned.from_user.is_bot
    assert mentioned.entities[0].user is not None
    assert (mentioned.entities[0].type, mentioned.entities[0].user.id) == ("text_mention", 10)
    assert [person.id for person in service.new_chat_members] == [11]


async def test_in_privacy_mode_a_bot_hears_only_what_is_meant_for_it(opened: Opened) -> None:
    server, bot = opened
    server.people.reads_all = False
    server.post("among us", chat=GROUP)
    sent = await bot.send_message(GROUP, "hello")
    server.post("@agentd_bot hello", chat=GROUP)
    server.post("yes", chat=GROUP, reply_to=sent.message_id)
    server.post("/help", chat=GROUP)
    server.post("in private")
    me = await bot.get_me()

    assert me.can_read_all_group_messages is False
    assert [message.text for message in await messages_of(bot)] == ["@agentd_bot hello", "yes", "/help", "in private"]


async def test_a_forum_has_topics_and_answers_go_where_they_are_sent(opened: Opened) -> None:
    server, bot = opened
    topic = server.open_topic(FORUM, "Plans")
    server.post("in the topic", chat=FORUM, thread=topic)
    server.post("in General", chat=FORUM)
    sent = await bot.send_message(FORUM, "answer", message_thread_id=topic)
    await bot.send_message(FORUM, "to all")
    await bot.send_chat_action(FORUM, "typing", message_thread_id=1)
    created, inside, general = await messages_of(bot)

    assert created.forum_topic_created is not None
    assert (inside.chat.is_forum, inside.is_topic_message, inside.message_thread_id) == (True, True, topic)
    assert inside.reply_to_message is not None
    assert inside.reply_to_message.forum_topic_created is not None
    assert (general.is_topic_message, general.message_thread_id) == (None, None)
    assert (sent.is_topic_message, sent.message_thread_id) == (True, topic)
    assert texts(server.screen(FORUM, topic)) == ["answer"]
    for unknown in (1, 99):
        with pytest.raises(BadRequest, match=r"^Message thread not found$"):
            await bot.send_message(FORUM, "a", message_thread_id=unknown)


async def test_in_a_plain_supergroup_replies_name_a_thread_that_is_no_topic(opened: Opened) -> None:
    server, bot = opened
    chat = -1_000_000_000_066
    first = server.post("question", chat=chat)
    second = server.post("answer", chat=chat, reply_to=first)
    server.post("more", chat=chat, reply_to=second)
    sent = await bot.send_message(chat, "mine", message_thread_id=99, reply_parameters=ReplyParameters(second))
    received = await messages_of(bot)

    assert [message.message_thread_id for message in received] == [None, first, first]
    assert {message.is_topic_message for message in [*received, sent]} == {None}
    assert sent.message_thread_id == first


async def test_a_channel_post_has_no_author_but_the_channel(opened: Opened) -> None:
    server, bot = opened
    server.open_chat(CHANNEL, "channel", title="News", username="news")
    message_id = server.post("today", chat=CHANNEL)
    server.post_edit(message_id, "tomorrow", chat=CHANNEL)
    post, edited = await bot.get_updates()
    sent = await bot.send_message("@news", "more")

    assert post.channel_post is not None
    assert (post.channel_post.from_user, post.channel_post.sender_chat) == (None, post.channel_post.chat)
    assert edited.edited_channel_post is not None
    assert sent.chat.id == CHANNEL


async def test_who_blocks_the_bot_gets_nothing_more_and_the_bot_is_told(opened: Opened) -> None:
    server, bot = opened
    supergroup = -1_000_000_000_066
    chats = {7: "bot was blocked by the user", GROUP: "bot was kicked from the group chat"}
    chats[supergroup] = "bot was kicked from the supergroup chat"
    for chat, words in chats.items():
        server.post("one", chat=chat)
        server.block(chat)
        server.post("not for the bot", chat=chat)
        with pytest.raises(Forbidden, match=rf"^Forbidden: {words}$"):
            await bot.send_message(chat, "a")
    server.unblock(7)
    await bot.send_message(7, "again")
    changes = [update.my_chat_member for update in await bot.get_updates() if update.my_chat_member]

    assert [(change.chat.id, change.new_chat_member.status) for change in changes] == [
        (7, "kicked"),
        (GROUP, "kicked"),
        (supergroup, "kicked"),
        (7, "member"),
    ]


async def test_a_group_that_becomes_a_supergroup_is_another_chat_whose_ids_begin_anew(opened: Opened) -> None:
    server, bot = opened
    server.post("one")
    server.post("two", chat=GROUP)
    new = server.migrate(GROUP)
    server.post("three", chat=new)
    one, two, to, since, three = await messages_of(bot)

    with pytest.raises(ChatMigrated) as moved:
        await bot.send_message(GROUP, "a")
    assert moved.value.new_chat_id == new == to.migrate_to_chat_id
    assert since.migrate_from_chat_id == GROUP
    assert [each.message_id for each in (one, two, to)] == [1, 2, 3]
    assert [each.message_id for each in (since, three)] == [1, 2]
    assert (await bot.send_message(new, "b")).message_id == 3
    assert {shown.text for (_, number), shown in server.messages.items() if number == 2} == {"two", "three"}


async def test_kinds_of_updates_that_were_not_asked_for_do_not_come(opened: Opened) -> None:
    server, bot = opened
    await bot.get_updates(allowed_updates=["message"])
    first = server.post("one")
    server.post_edit(first, "two")
    only = [update.update_id for update in await bot.get_updates()]
    await bot.get_updates(allowed_updates=[])
    server.post_edit(first, "three")
    both = await bot.get_updates()

    assert [update.update_id for update in both] == [*only, *server.unconfirmed[1:]]
    assert both[-1].edited_message is not None


async def test_while_there_is_a_webhook_nobody_can_poll(opened: Opened) -> None:
    server, bot = opened
    server.updates.webhook = "https://example.com/hook"
    with pytest.raises(Conflict, match=r"^Conflict: can't use getUpdates method while webhook is active"):
        await bot.get_updates()
    before = await bot.get_webhook_info()
    server.post("one")
    await bot.delete_webhook(drop_pending_updates=True)

    assert before.url == "https://example.com/hook"
    assert await bot.get_updates() == ()


async def test_commands_are_kept_by_their_scope_and_wrong_ones_refused(opened: Opened) -> None:
    server, bot = opened
    await bot.set_my_commands([BotCommand("help", "Say what there is")])
    kept = await bot.get_my_commands()
    with pytest.raises(BadRequest, match="Bot_command_invalid"):
        await bot.set_my_commands([BotCommand("Help!", "No")])
    with pytest.raises(BadRequest, match="Bot_commands_too_much"):
        await bot.set_my_commands([(f"c{number}", "No") for number in range(101)])

    assert [(command.command, command.description) for command in kept] == [("help", "Say what there is")]
    assert server.methods.commands == {"{}": [{"command": "help", "description": "Say what there is"}]}


async def test_an_update_that_cannot_be_parsed_and_ids_that_begin_anew_can_be_made(opened: Opened) -> None:
    server, bot = opened
    server.post("one")
    server.updates.restart_ids(17)
    server.push_raw({"message": {"message_id": "what"}})
    server.updates.restart_ids(900_000)
    server.post("two")
    with pytest.raises(KeyError):
        await bot.get_updates()

    assert server.unconfirmed == [500_001, 17, 900_000]


async def test_a_reply_to_nothing_is_refused_unless_it_may_stand_alone(opened: Opened) -> None:
    server, bot = opened
    server.post("one")
    alone = await bot.send_message(7, "a", reply_parameters=ReplyParameters(9, allow_sending_without_reply=True))

    assert alone.reply_to_message is None
    with pytest.raises(BadRequest, match=r"^Message to be replied not found$"):
        await bot.send_message(7, "b", reply_parameters=ReplyParameters(9))


async def test_the_library_knows_every_field_that_the_server_sends(opened: Opened) -> None:
    server, bot = opened
    topic = server.open_topic(FORUM, "Plans")
    first = server.post("/go to https://a.bc @agentd_bot", chat=FORUM, thread=topic)
    server.open_chat(CHANNEL, "channel", username="news")
    for chat in (7, GROUP, FORUM, CHANNEL):
        server.post("a", chat=chat, reply_to=first if chat == FORUM else None)
        server.post_album([Photo(), Document(), Sound(), Sticker(), Location()], "b", chat=chat)
        server.post_edit(server.post("c", chat=chat), "d", chat=chat)
        pinned = server.history.as_message(server.messages[chat, server.post("e", chat=chat)])
        server.post(chat=chat, service={"pinned_message": pinned})
        server.block(chat)
        server.unblock(chat)
    server.migrate(GROUP)
    updates = await bot.get_updates()
    server.push_raw({"message": {**server.history.as_message(server.messages[7, 2]), "colour": "red"}})

    assert len(updates) == len(server.unconfirmed[:-1]) > 40
    assert [found for update in updates for found in unknown_fields(update)] == []
    assert [found for update in await bot.get_updates(offset=-1) for found in unknown_fields(update)] == ["colour"]


def unknown_fields(value: object) -> list[str]:
    """Return what the library has put aside because it does not know it."""
    if isinstance(value, tuple):
        return [found for item in value for found in unknown_fields(item)]
    if not isinstance(value, TelegramObject):
        return []
    return [*value.api_kwargs, *unknown_fields(tuple(value.to_dict(recursive=False).values()))]


def test_every_kind_of_update_that_the_server_knows_is_one_that_the_library_knows() -> None:
    assert set(Update.ALL_TYPES) <= TelegramServer().updates.allowed | {
        "chat_member",
        "message_reaction",
        "message_reaction_count",
    }

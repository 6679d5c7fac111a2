"""These tests check which messages of a group are meant for the bot."""

from __future__ import annotations

from typing import Any

import pytest
from telegram import Message

from channels.telegram.attention import Attention, Me, attends

ME = Me(100, "agentd_bot")
BOT = {"id": 100, "is_bot": True, "first_name": "Agentd", "username": "agentd_bot"}
ADA = {"id": 7, "is_bot": False, "first_name": "Ada"}
GROUP = {"id": -5, "type": "group", "title": "Ours"}


def units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def mark(kind: str, text: str, word: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "offset": units(text[: text.index(word)]), "length": units(word), **more}


def message(text: str, *marks: dict[str, Any], chat: dict[str, Any] = GROUP, **more: Any) -> Message:
    content = {"message_id": 1, "date": 1, "chat": chat, "from": ADA, "text": text, "entities": list(marks), **more}
    return Message.de_json(content)


def replied(author: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"message_id": 2, "date": 1, "chat": GROUP, "from": author, **more}


MENTIONS = [
    message("@agentd_bot hi", mark("mention", "@agentd_bot hi", "@agentd_bot")),
    message("hi @AgentD_Bot!", mark("mention", "hi @AgentD_Bot!", "@AgentD_Bot")),
    message("😀🇩🇪 @agentd_bot", mark("mention", "😀🇩🇪 @agentd_bot", "@agentd_bot")),
    message("\ud83d @agentd_bot", mark("mention", "\ud83d @agentd_bot", "@agentd_bot")),
    message("you, what?", mark("text_mention", "you, what?", "you", user=BOT)),
    message("/new@agentd_bot", mark("bot_command", "/new@agentd_bot", "/new@agentd_bot")),
    message("a /new@Agentd_bot", mark("bot_command", "a /new@Agentd_bot", "/new@Agentd_bot")),
    message("so?", reply_to_message=replied(BOT, text="an answer")),
    message("", caption="@agentd_bot", caption_entities=[mark("mention", "@agentd_bot", "@agentd_bot")]),
]

OTHERS = [
    message("hi all"),
    message("agentd_bot and @agentd_bot in code", mark("code", "agentd_bot and @agentd_bot in code", "@agentd_bot")),
    message("@agentd_bots hi", mark("mention", "@agentd_bots hi", "@agentd_bots")),
    message("you, what?", mark("text_mention", "you, what?", "you", user=ADA)),
    message("/new", mark("bot_command", "/new", "/new")),
    message("so?", reply_to_message=replied(ADA, text="@agentd_bot")),
    message("in a topic", reply_to_message=replied(BOT, forum_topic_created={"name": "a", "icon_color": 1})),
    message("a mark past the end", {"type": "mention", "offset": 400, "length": 5}),
]

OF_ANOTHER = [
    message("/new@other_bot", mark("bot_command", "/new@other_bot", "/new@other_bot")),
    message(
        "/new@other_bot @agentd_bot",
        mark("bot_command", "/new@other_bot @agentd_bot", "/new@other_bot"),
        mark("mention", "/new@other_bot @agentd_bot", "@agentd_bot"),
    ),
    message(
        "/a@other_bot", mark("bot_command", "/a@other_bot", "/a@other_bot"), reply_to_message=replied(BOT, text="a")
    ),
]


def attended(messages: list[Message], groups: Attention) -> list[bool]:
    return [attends(message, ME, groups) for message in messages]


def test_a_mention_a_reply_and_a_command_with_its_name_are_meant_for_the_bot() -> None:
    assert attended(MENTIONS, "mention") == [True] * len(MENTIONS)


def test_what_names_nobody_or_someone_else_is_not() -> None:
    assert attended(OTHERS, "mention") == [False] * len(OTHERS)


def test_a_command_for_another_bot_is_never_taken() -> None:
    for groups in ("mention", "all", "off"):
        assert attended(OF_ANOTHER, groups) == [False] * len(OF_ANOTHER)


def test_a_bot_that_attends_to_all_takes_everything_else() -> None:
    assert attended([*MENTIONS, *OTHERS], "all") == [True] * (len(MENTIONS) + len(OTHERS))


def test_a_bot_that_attends_to_nothing_in_groups_takes_nothing_there() -> None:
    assert attended([*MENTIONS, *OTHERS], "off") == [False] * (len(MENTIONS) + len(OTHERS))


@pytest.mark.parametrize("groups", ["mention", "all", "off"])
def test_in_private_everything_is_meant_for_the_bot(groups: Attention) -> None:
    private = {"id": 7, "type": "private", "first_name": "Ada"}
    messages = [message("hi", chat=private), message("/new@other_bot", chat=private)]

    assert attended(messages, groups) == [True, True]


def test_a_bot_without_a_name_takes_no_name_for_its_own() -> None:
    assert not attends(message("hi @x", mark("mention", "hi @x", "@x")), Me(100, ""), "mention")

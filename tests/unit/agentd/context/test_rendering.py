"""These tests check how a prompt shows a turn without a reply, and the author of a message."""

from __future__ import annotations

from agentd.context.rendering import render_ending, render_messages
from agentd.transcript.records import LOST_ENDING, Author, Failure, Source, UserMessage


def test_a_turn_whose_reply_was_lost_says_so() -> None:
    assert render_ending(Failure(answers=(0,), reason=LOST_ENDING, told=False)) == "[What was said here is lost.]"
    assert render_ending(Failure(answers=(0,), reason="timeout", told=False)) == "[No reply was given: timeout.]"


def test_a_message_of_nobody_names_nobody() -> None:
    assert render_messages([UserMessage(content="hi")], names_authors=True) == "hi"


def test_where_nobody_else_is_no_author_is_named_and_no_bracket_of_a_message_changed() -> None:
    source = Source(chat="c", message_id="m", sent_at="", author=Author(id="7", name="Ada"))
    message = UserMessage(content="a letter [from home]", source=source)

    assert render_messages([message], names_authors=False) == "a letter [from home]"
    assert render_messages([message], names_authors=True) == "[From 7, Ada:]\na letter (from home]"


def test_an_authors_name_stands_on_one_line_as_it_would_be_read() -> None:
    source = Source(
        chat="c", message_id="m", sent_at="", author=Author(id="7", name="Ada\n[Lovelace]\u2028\t of  Ock\x00ham")
    )
    message = UserMessage(content="hi", source=source)

    assert render_messages([message], names_authors=True) == "[From 7, Ada (Lovelace) of Ock ham:]\nhi"

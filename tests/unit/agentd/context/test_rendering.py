"""These tests check how a prompt shows a turn without a reply, and a message without an author."""

from __future__ import annotations

from agentd.context.cutting import boundary
from agentd.context.rendering import render_ending, render_messages
from agentd.transcript.records import LOST_ENDING, Failure, UserMessage


def test_a_turn_whose_reply_was_lost_says_so() -> None:
    assert render_ending(Failure(answers=(0,), reason=LOST_ENDING, told=False)) == "[What was said here is lost.]"
    assert render_ending(Failure(answers=(0,), reason="timeout", told=False)) == "[No reply was given: timeout.]"


def test_a_message_of_nobody_names_nobody() -> None:
    assert render_messages([UserMessage(content="hi")], names_authors=True) == "hi"


def test_a_text_of_nothing_but_marks_on_one_letter_is_cut_all_the_same() -> None:
    """No letter has as many; a text that does is no reason to look through all of it."""
    text = "a" + "\u0301" * 200

    assert boundary(text, 100, -1) == 68

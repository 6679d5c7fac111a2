"""These tests check which messages the next turn answers, by a transcript's view alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from agentd.conversation.inbound_records import build_record
from agentd.conversation.question import (
    Question,
    is_unfinished,
    next_question,
    stale_question,
    unread_files,
)
from agentd.transcript.clock import format_time
from agentd.transcript.records import (
    AssistantMessage,
    Author,
    Command,
    Delivery,
    FileAttachment,
    Record,
    Source,
    UserMessage,
)
from agentd.transcript.view import Transcript, fold
from channels.base import Address, InboundMessage
from channels.base import Author as Writer

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LIMIT_MINUTES = 30
MANY = 20


def message(number: int, *, author: str = "ada", age_minutes: float = 0, **more: Any) -> UserMessage:
    sent_at = format_time(NOW - timedelta(minutes=age_minutes))
    source = Source(chat="c", message_id=str(number), sent_at=sent_at, author=Author(id=author))
    return UserMessage(content=more.pop("content", f"m{number}"), source=source, **more)


def part(number: int, album: str, **more: Any) -> UserMessage:
    return message(number, album=album, goes_on=True, **more)


def command(name: str, age_minutes: float = 0) -> Command:
    sent_at = format_time(NOW - timedelta(minutes=age_minutes))
    return Command(name=name, source=Source(chat="c", message_id=name, sent_at=sent_at, author=Author(id="ada")))


def view(*records: Record) -> Transcript:
    """Return what these records, numbered from 0, make."""
    return fold(records)


def answers(found: Question | None) -> tuple[int, ...]:
    return () if found is None else found.answers


def test_nothing_waits_where_all_is_answered() -> None:
    assert next_question(view(message(0), AssistantMessage(content="x", answers=(0,))), MANY) is None


def test_what_waits_is_asked_together_up_to_the_limit() -> None:
    waiting = view(*(message(number) for number in range(5)))

    assert answers(next_question(waiting, MANY)) == (0, 1, 2, 3, 4)
    assert answers(next_question(waiting, 2)) == (0, 1)


def test_an_album_is_one_question_whatever_the_limit() -> None:
    waiting = view(part(0, "a"), part(1, "a"), part(2, "a"), message(3))

    assert answers(next_question(waiting, 1)) == (0, 1, 2)


def test_two_albums_are_two_questions_where_one_message_is_one() -> None:
    assert answers(next_question(view(part(0, "a"), part(1, "b")), 1)) == (0,)


def test_a_paste_and_its_rest_are_one_question_whatever_the_limit() -> None:
    waiting = view(message(0, goes_on=True), message(1, goes_on=True), message(2), message(3))

    assert answers(next_question(waiting, 1)) == (0, 1, 2)


def test_no_question_joins_two_authors() -> None:
    assert answers(next_question(view(message(0), message(1, author="bob"), message(2)), MANY)) == (0,)
    assert answers(next_question(view(part(0, "a"), part(1, "a", author="bob")), MANY)) == (0,)


@pytest.mark.parametrize("name", ["new", "stop"])
def test_nothing_behind_a_barrier_is_asked(name: str) -> None:
    assert answers(next_question(view(message(0), command(name), message(2)), MANY)) == (0,)
    assert next_question(view(command(name), message(1)), MANY) is None


def test_a_retry_repeats_the_last_question_when_its_turn_comes() -> None:
    done = (message(0), AssistantMessage(content="x", answers=(0,)), Delivery(of=1, state="sent"))
    found = next_question(view(*done, command("retry"), message(4)), MANY)

    assert found is not None
    assert found.retries
    assert found.answers == (3,)
    assert [said.content for said in found.messages] == ["m0"]


def stale(waiting: Transcript) -> Question | None:
    question = next_question(waiting, MANY)
    assert question is not None
    return stale_question(waiting, question, NOW, LIMIT_MINUTES)


def test_a_backlog_longer_than_a_turn_is_stale_as_a_whole() -> None:
    old = [message(number, age_minutes=31) for number in range(62)]

    assert answers(stale(view(*old))) == tuple(range(62))
    assert answers(stale(view(*old, message(62)))) == tuple(range(62))


def test_one_fresh_message_makes_old_ones_worth_an_answer() -> None:
    assert stale(view(message(0, age_minutes=31), message(1, age_minutes=1))) is None


def test_a_message_is_stale_only_beyond_the_limit() -> None:
    assert stale(view(message(0, age_minutes=30))) is None
    assert answers(stale(view(message(0, age_minutes=30.1)))) == (0,)


def test_an_old_retry_is_stale() -> None:
    done = (message(0, age_minutes=90), AssistantMessage(content="x", answers=(0,)), Delivery(of=1, state="sent"))

    assert answers(stale(view(*done, command("retry", age_minutes=60)))) == (3,)
    assert stale(view(*done, command("retry"))) is None


def test_only_the_last_message_says_that_more_is_to_come() -> None:
    assert is_unfinished(view(message(0), message(1, goes_on=True)))
    assert not is_unfinished(view(message(0, goes_on=True), message(1)))
    assert not is_unfinished(view(message(0, goes_on=True), AssistantMessage(content="x", answers=(0,))))
    assert not is_unfinished(view())


def unread(name: str) -> FileAttachment:
    return FileAttachment(name=name, media_type="", size_bytes=0, unread=f"I cannot read {name}.")


def asked(*messages: UserMessage) -> Question:
    question = next_question(view(*messages), MANY)
    assert question is not None
    return question


def test_files_that_cannot_be_read_are_told_of_only_where_there_is_nothing_else() -> None:
    voice, place = unread("voice"), unread("location")
    picture = FileAttachment(name="a.jpg", media_type="image/jpeg", size_bytes=1, path="a.jpg")

    only = asked(message(0, content="", attachments=(voice,)), message(1, content=" ", attachments=(voice, place)))
    assert unread_files(only) == ("I cannot read voice.", "I cannot read location.")
    assert unread_files(asked(message(0, attachments=(voice,)))) == ()
    assert unread_files(asked(message(0, content="", attachments=(voice, picture)))) == ()
    assert unread_files(asked(message(0, content=""))) == ()


def test_a_record_says_what_it_is_a_part_of_only_where_it_is() -> None:
    here, ada = Address("telegram", "100", "7"), Writer("7", "Ada")
    alone = build_record(InboundMessage(here, ada, "1", NOW, "hello"), "t")
    piece = build_record(InboundMessage(here, ada, "2", NOW, "", album="9", goes_on=True), "t")

    assert isinstance(alone, UserMessage)
    assert isinstance(piece, UserMessage)
    assert (alone.album, alone.goes_on) == (UNSET, UNSET)
    assert (piece.album, piece.goes_on) == ("9", True)


sent = st.builds(
    message,
    st.integers(0, 9),
    author=st.sampled_from(["ada", "bob"]),
    age_minutes=st.sampled_from([0, 60]),
    album=st.sampled_from([UNSET, "a", "b"]),
    goes_on=st.sampled_from([UNSET, True]),
)


@given(st.lists(sent, min_size=1, max_size=12), st.integers(1, 5))
def test_every_message_gets_its_turn_in_order_and_with_its_author_alone(messages: list[UserMessage], most: int) -> None:
    waiting, turns = view(*messages), []
    while (question := next_question(waiting, most)) is not None:
        turns.append(question)
        waiting.apply(AssistantMessage(content="x", answers=question.answers))

    assert [seq for question in turns for seq in question.answers] == list(range(len(messages)))
    assert all(len({said.source.author.id for said in turn.messages if said.source}) == 1 for turn in turns)

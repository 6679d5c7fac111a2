"""These tests check what is known of a reply that was begun, so that the next run goes on with it."""

from __future__ import annotations

from agentd.transcript.records import Draft
from agentd.transcript.view import DraftPart
from tests.unit.agentd.transcript.building import answer, command, failure, sent, user, view_of

UP = ("boot", 12.5)
BEGUN = "2026-01-01T12:00:01.000Z"


def test_of_a_part_it_is_known_when_it_was_last_begun_by_both_clocks() -> None:
    first = Draft(answers=(0,), part=0, state="sending", up=("boot", 1.0))
    again = Draft(answers=(0,), part=0, state="sending", up=UP)
    done = Draft(answers=(0,), part=0, state="sent", message_id="p1")
    begun = view_of(user("m0"), again).drafts[0][0]
    twice = view_of(user("m0"), first, again, done).drafts[0][0]

    assert begun == DraftPart(None, 1, BEGUN, UP)
    assert twice == DraftPart("p1", 2, "2026-01-01T12:00:02.000Z", UP)


def test_a_part_whose_beginning_is_not_on_record_is_known_by_its_id() -> None:
    view = view_of(user("m0"), Draft(answers=(0,), part=0, state="sent", message_id="p1"))

    assert view.drafts[0][0] == DraftPart("p1", 1, BEGUN)


def test_a_reply_that_was_begun_is_found_by_each_message_that_it_answers_until_it_ends() -> None:
    given = (user("m0"), user("m1"), user("m2"), Draft(answers=(0, 1), part=0, state="sending"))
    begun = view_of(*given)
    ended = [view_of(*given, answer(0, 1)), view_of(*given, failure(0, 1, told=False))]

    assert [begun.begun_for([seq]) for seq in (0, 1, 2)] == [(0, 1), (0, 1), ()]
    assert begun.begun_for([2, 1]) == (0, 1)
    assert begun.begun_for([]) == ()
    assert [view.begun_for([0, 1]) for view in ended] == [(), ()]


def test_what_a_command_began_to_answer_is_finished_by_its_delivery() -> None:
    sending = Draft(answers=(0,), part=0, state="sending")

    assert view_of(command("help"), sending).begun_for([0]) == (0,)
    assert view_of(command("help"), sending, sent(0)).begun_for([0]) == ()


def test_drafts_of_a_turn_that_ended_without_a_word_are_forgotten() -> None:
    sending = Draft(answers=(0,), part=0, state="sending")

    assert view_of(user("m0"), sending, failure(0, told=False)).drafts == {}
    assert sorted(view_of(user("m0"), sending, failure(0)).drafts) == [0]


def test_a_notice_that_answers_no_message_is_delivered_with_its_drafts() -> None:
    begun = (failure(), Draft(answers=(0,), part=0, state="sending"))
    before, after = view_of(*begun), view_of(*begun, sent(0))

    assert (list(before.undelivered), list(before.drafts)) == ([0], [0])
    assert (after.is_idle, after.drafts) == (True, {})
    assert view_of(failure(told=False)).is_idle

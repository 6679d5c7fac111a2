from __future__ import annotations

import pytest

from agentd.transcript.records import (
    AssistantMessage,
    Delete,
    Edit,
    Failure,
    Reset,
    TokenUsage,
    Undo,
)
from agentd.transcript.view import DELETED_TEXT, fold, live_from
from tests.unit.agentd.transcript.building import (
    answer,
    command,
    compaction,
    contents,
    sent,
    source,
    user,
    view_of,
)


def test_a_compaction_covers_the_turns_up_to_its_end_wherever_their_answers_stand() -> None:
    given = (user("m0"), user("m1"), answer(0), answer(1, content="to m1"), user("m4"), answer(4, content="to m4"))
    view = view_of(*given, compaction(1))

    assert view.summary is not None
    assert contents(view.live_turns) == [(["text of m4"], "to m4")]
    assert len(view.turns) == 3


def test_what_a_compaction_stands_for_need_not_be_kept_in_memory() -> None:
    given = (user("m0"), answer(0), user("m2"), answer(2), user("m4"), answer(4))
    view = view_of(*given, compaction(0, summary="a"), compaction(2, summary="b"))
    live = view.live_turns
    view.forget_covered()

    assert view.turns == view.live_turns == live
    assert [kept.summary for kept in view.compactions] == ["b"]


def test_the_last_of_several_compactions_is_in_force_until_it_is_revoked() -> None:
    given = (user("m0"), answer(0), user("m2"), answer(2), compaction(0, summary="a"), compaction(2, summary="b"))
    latest, revoked = view_of(*given), view_of(*given, Undo(of=5))
    bare = view_of(*given, Undo(of=5), Undo(of=4))

    assert latest.summary is not None
    assert (latest.summary.summary, len(latest.live_turns)) == ("b", 0)
    assert revoked.summary is not None
    assert (revoked.summary.summary, len(revoked.live_turns)) == ("a", 1)
    assert (bare.summary, len(bare.live_turns)) == (None, 2)


def test_a_reset_ends_what_was_summarised() -> None:
    view = view_of(user("m0"), answer(0), compaction(0), Reset(reason="new"), user("m4"), answer(4))

    assert view.summary is None
    assert contents(view.live_turns) == [(["text of m4"], "a reply")]


def test_a_summary_that_a_reset_overtook_is_void() -> None:
    view = view_of(user("m0"), answer(0), Reset(reason="new"), compaction(0), user("m4"), answer(4))

    assert view.summary is None
    assert contents(view.live_turns) == [(["text of m4"], "a reply")]


def edit(of: int, content: str, at: str = "2026-01-01T12:00:00.000Z") -> Edit:
    return Edit(of=of, content=content, edited_at=at)


def test_an_edit_of_a_waiting_message_replaces_its_text() -> None:
    view = view_of(user("m0", "wrong"), edit(0, "right"))

    assert view.pending[0].content == "right"


def test_an_edit_of_an_answered_message_changes_the_next_prompt_and_starts_no_turn() -> None:
    view = view_of(user("m0", "wrong"), user("m1"), answer(0, 1), sent(2), edit(0, "right"))

    assert contents(view.turns) == [(["right", "text of m1"], "a reply")]
    assert view.is_idle


def test_an_edit_of_an_unanswerable_thing_changes_nothing() -> None:
    view = view_of(command("help"), edit(0, "x"), edit(77, "y"), Delete(of=77))

    assert (list(view.commands), view.turns, view.pending) == ([0], [], {})


def test_a_deleted_command_waits_no_more() -> None:
    assert view_of(command("help"), Delete(of=0)).is_idle


def test_an_edit_older_than_the_last_is_ignored() -> None:
    late = edit(0, "older", "2026-01-01T11:00:00.000Z")
    waiting = view_of(user("m0"), edit(0, "newer"), late)
    answered = view_of(user("m0"), answer(0), edit(0, "newer"), late)

    assert waiting.pending[0].content == "newer"
    assert contents(answered.turns) == [(["newer"], "a reply")]


def test_an_edit_of_a_waiting_message_holds_across_a_reset_against_older_ones() -> None:
    late = edit(0, "older", "2026-01-01T11:00:00.000Z")
    view = view_of(user("m0"), edit(0, "newer"), Reset(reason="new"), late)

    assert view.pending[0].content == "newer"


@pytest.mark.parametrize("at", ["", "2026-01-01T09:00:00.000Z", "2026-01-02T09:00:00.000Z"])
def test_a_delete_settles_a_waiting_message_whatever_its_time(at: str) -> None:
    view = view_of(user("m0"), edit(0, "newer"), Delete(of=0, edited_at=at))

    assert view.is_idle
    assert view.is_settled(0)
    assert contents(view.turns) == [([DELETED_TEXT], None)]


def test_a_failure_that_says_so_ends_the_turn_of_a_deleted_message() -> None:
    view = view_of(user("m0"), Delete(of=0), Failure(answers=(0,), reason="deleted", told=False))

    assert view.is_idle
    assert contents(view.turns) == [([DELETED_TEXT], "deleted")]


def test_a_message_deleted_while_its_turn_runs_stands_in_that_turn() -> None:
    view = view_of(user("m0"), user("m1"), user("m2"), Delete(of=1), answer(0, 1, content="to both"))

    assert contents(view.turns) == [(["text of m0", DELETED_TEXT], "to both")]
    assert list(view.pending) == [2]


def test_a_delete_of_an_answered_message_removes_its_text() -> None:
    view = view_of(user("m0"), answer(0), edit(0, "x"), Delete(of=0))

    assert contents(view.turns) == [([DELETED_TEXT], "a reply")]


def test_no_edit_brings_a_deleted_text_back() -> None:
    waiting = view_of(user("m0"), Delete(of=0), edit(0, "back", "2030-01-01T00:00:00.000Z"))
    answered = view_of(user("m0"), answer(0), Delete(of=0), edit(0, "back", "2030-01-01T00:00:00.000Z"))

    assert contents(waiting.turns) == [([DELETED_TEXT], None)]
    assert contents(answered.turns) == [([DELETED_TEXT], "a reply")]


def test_an_edit_that_comes_again_is_known_and_so_is_one_that_a_later_one_has_overtaken() -> None:
    view = view_of(user("m0"), user("m1"), Edit(of=0, content="second", edited_at="2026-01-02"))

    assert view.knows_change(Edit(of=0, content="second", edited_at="2026-01-02"))
    assert view.knows_change(Edit(of=0, content="first", edited_at="2026-01-01"))
    assert not view.knows_change(Edit(of=0, content="within the same second", edited_at="2026-01-02"))
    assert not view.knows_change(Edit(of=0, content="third", edited_at="2026-01-03"))
    assert not view.knows_change(Edit(of=1, content="second", edited_at="2026-01-02"))
    assert not view.knows_change(Delete(of=0))


def test_after_a_deletion_every_change_of_the_message_is_known() -> None:
    view = view_of(user("m0"), Delete(of=0))

    assert view.knows_change(Delete(of=0))
    assert view.knows_change(Edit(of=0, content="late", edited_at="2026-01-03"))


def test_an_edit_within_the_same_second_counts_as_it_came() -> None:
    view = view_of(
        user("m0"),
        Edit(of=0, content="b", edited_at="2026-01-02"),
        Edit(of=0, content="a", edited_at="2026-01-02"),
    )

    assert view.pending[0].content == "a"


def test_where_the_live_turns_begin_is_told() -> None:
    turns = (user("m0"), answer(0), user("m2"), answer(2))

    assert live_from(view_of()) == 0
    assert live_from(view_of(*turns)) == 0
    assert live_from(view_of(*turns, compaction(2))) == 3
    assert live_from(view_of(*turns, Reset(reason="new"), user("m5"), answer(5))) == 4


def test_where_a_file_was_read_from_the_middle_its_first_turn_is_where_the_live_ones_begin() -> None:
    view = fold([user("m0", seq=40), answer(40, seq=41), user("m1", seq=42), answer(42, seq=43)])
    view.is_cut = True

    assert live_from(view) == 40


def test_without_a_compaction_in_force_nothing_is_forgotten() -> None:
    view = view_of(user("m0"), answer(0))
    view.forget_covered()

    assert contents(view.turns) == [(["text of m0"], "a reply")]


def test_a_summary_that_was_revoked_is_known_as_such_until_the_next_one_or_a_reset() -> None:
    given = (user("m0"), answer(0), compaction(0))

    assert view_of(*given).is_undone is False
    assert view_of(*given, Undo(of=2)).is_undone is True
    assert view_of(*given, Undo(of=2), compaction(0)).is_undone is False
    assert view_of(*given, Undo(of=2), Reset(reason="new")).is_undone is False


def test_a_command_whose_undo_is_on_record_has_acted_unless_it_is_deleted() -> None:
    given = (user("m0"), answer(0), compaction(0), command("compact", "u"), command("compact", "later"))
    acted = view_of(*given, Undo(of=2, source=source("u")))
    deleted = view_of(*given, Undo(of=2, source=source("u")), Delete(of=3))

    assert (acted.acted, list(acted.commands)) == ({3}, [3, 4])
    assert (deleted.acted, list(deleted.commands)) == (set(), [4])


def test_a_conversation_keeps_the_last_factor_that_it_learnt_until_its_reset() -> None:
    learnt, newer = (
        AssistantMessage(content="a", answers=(of,), usage=TokenUsage(factor=factor))
        for of, factor in ((0, 1.2), (2, 1.4))
    )

    assert view_of(user("m0"), answer(0)).token_factor is None
    assert view_of(user("m0"), learnt, user("m2"), newer).token_factor == 1.4
    assert view_of(user("m0"), learnt, user("m2"), answer(2)).token_factor == 1.2
    assert view_of(user("m0"), learnt, Reset(reason="new")).token_factor is None

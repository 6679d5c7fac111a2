from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.transcript.clock import format_time
from agentd.transcript.records import (
    AssistantMessage,
    Compaction,
    Damaged,
    Delivery,
    Draft,
    Erased,
    Record,
    Reset,
    SessionHeader,
    Unknown,
    UserMessage,
    encode_line,
    parse_line,
)
from agentd.transcript.seen import SEEN_MESSAGES
from agentd.transcript.view import Transcript, fold
from tests.unit.agentd.transcript.building import (
    CALM,
    KEY,
    START,
    History,
    answer,
    command,
    contents,
    failure,
    numbered,
    records,
    sent,
    source,
    user,
    view_of,
)


def test_a_message_is_pending_until_an_answer_names_it() -> None:
    before = view_of(user("m0"), user("m1"))
    after = view_of(user("m0"), user("m1"), answer(0))

    assert list(before.pending) == [0, 1]
    assert list(after.pending) == [1]
    assert contents(after.turns) == [(["text of m0"], "a reply")]


def test_a_reply_is_undelivered_until_a_delivery_names_it() -> None:
    before = view_of(user("m0"), answer(0))
    after = view_of(user("m0"), answer(0), sent(1))

    assert list(before.undelivered) == [1]
    assert (before.is_idle, before.is_settled(0), before.unsettled) == (False, False, [0])
    assert (after.is_idle, after.is_settled(0), after.unsettled) == (True, True, [])


@pytest.mark.parametrize("state", ["sent", "uncertain", "failed"])
def test_whatever_the_platform_confirmed_ends_the_delivery(state: str) -> None:
    view = view_of(user("m0"), answer(0), Delivery(of=1, state=state))  # type: ignore[arg-type]

    assert view.is_idle


def test_a_failed_turn_is_settled_once_its_notice_is_delivered() -> None:
    before = view_of(user("m0"), failure(0))
    after = view_of(user("m0"), failure(0), sent(1))

    assert (before.is_settled(0), after.is_settled(0)) == (False, True)
    assert contents(after.turns) == [(["text of m0"], "provider")]


def test_a_failure_of_which_nobody_is_told_is_settled_at_once() -> None:
    view = view_of(user("m0"), failure(0, told=False))

    assert view.is_idle
    assert contents(view.turns) == [(["text of m0"], "provider")]


def test_a_failed_turn_stays_failed_after_a_reload_and_its_orphan_is_not_continued() -> None:
    """Rolled back in memory only, it would come back with a restart, and the model would answer the orphan."""
    lines = [encode_line(record) for record in numbered(user("m0"), failure(0), sent(1), user("m3"))]
    view = fold(map(parse_line, lines))

    assert list(view.pending) == [3]
    assert contents(view.turns) == [(["text of m0"], "provider")]


def test_turns_stand_in_the_order_of_their_ends() -> None:
    view = view_of(user("m0"), user("m1"), user("m2"), answer(1, 2, content="first"), answer(0, content="second"))

    assert contents(view.turns) == [(["text of m1", "text of m2"], "first"), (["text of m0"], "second")]


def test_a_message_accepted_during_a_turn_comes_after_that_turns_answer() -> None:
    view = view_of(user("m0"), user("m1"), answer(0), answer(1, content="to m1"))

    assert contents(view.turns) == [(["text of m0"], "a reply"), (["text of m1"], "to m1")]


def test_messages_answered_together_stand_in_the_order_of_the_answer_and_once() -> None:
    view = view_of(user("m0"), user("m1"), answer(1, 0, 1))

    assert contents(view.turns) == [(["text of m1", "text of m0"], "a reply")]


def test_a_command_is_pending_until_its_own_delivery() -> None:
    before = view_of(command("help"), user("m1"), answer(1), sent(2))
    after = view_of(command("help"), sent(0))

    assert list(before.commands) == [0]
    assert (before.is_settled(0), before.is_idle, before.unsettled) == (False, False, [0])
    assert (after.is_settled(0), after.is_idle) == (True, True)


def test_a_command_whose_reset_is_on_record_has_acted() -> None:
    new = command("new", "n")
    before = view_of(user("m0"), new)
    acted = view_of(user("m0"), new, command("new", "n2"), Reset(reason="new", source=source("n")))
    after = view_of(new, Reset(reason="new", source=source("n")), sent(0))

    assert before.acted == set()
    assert acted.acted == {1}
    assert list(acted.commands) == [1, 2]
    assert after.acted == set()


def test_a_retry_is_pending_until_an_answer_names_it() -> None:
    given = (user("m0"), answer(0), sent(1), command("retry"))
    asked = view_of(*given)
    answered = view_of(*given, answer(3, content="better"))
    delivered = view_of(*given, answer(3, content="better"), sent(4))

    assert (list(asked.commands), asked.is_settled(3)) == ([3], False)
    assert (list(answered.commands), list(answered.undelivered), answered.is_settled(3)) == ([], [4], False)
    assert delivered.is_idle


def test_the_answer_to_a_retry_takes_the_place_of_the_one_before() -> None:
    given = (user("m0"), answer(0, content="first"), user("m2"), answer(2, content="bad"), command("retry"))
    view = view_of(*given, answer(4, content="better"))

    assert contents(view.turns) == [(["text of m0"], "first"), (["text of m2"], "better")]


def test_a_retry_of_a_failed_turn_gives_it_its_answer() -> None:
    view = view_of(user("m0"), failure(0), command("retry"), answer(2, content="now"))

    assert contents(view.turns) == [(["text of m0"], "now")]


def test_a_retry_that_fails_leaves_the_answer_that_there_is() -> None:
    view = view_of(user("m0"), answer(0, content="first"), command("retry"), failure(2), sent(3))

    assert contents(view.turns) == [(["text of m0"], "first")]
    assert list(view.commands) == []


def test_a_retry_after_a_reset_changes_no_turn() -> None:
    view = view_of(user("m0"), answer(0), Reset(reason="new"), command("retry"), answer(3))

    assert view.turns == []


def tries_of(view: Transcript) -> dict[int, tuple[str | None, int]]:
    return {number: (part.message_id, part.tries) for number, part in view.drafts[0].items()}


def test_drafts_are_known_until_their_reply_is_delivered() -> None:
    sending = Draft(answers=(0,), part=0, state="sending")
    done = Draft(answers=(0,), part=0, state="sent", message_id="p1")
    second = Draft(answers=(0,), part=1, state="sending")
    view = view_of(user("m0"), sending, done, second)
    delivered = view_of(user("m0"), sending, done, second, answer(0), sent(4))

    assert tries_of(view) == {0: ("p1", 1), 1: (None, 1)}
    assert delivered.drafts == {}


def test_a_part_that_was_begun_twice_is_a_copy_for_good() -> None:
    sending = Draft(answers=(0,), part=0, state="sending")
    done = Draft(answers=(0,), part=0, state="sent", message_id="p1")

    assert tries_of(view_of(user("m0"), sending, sending)) == {0: (None, 2)}
    assert tries_of(view_of(user("m0"), sending, sending, done)) == {0: ("p1", 2)}
    assert tries_of(view_of(user("m0"), sending, done, sending)) == {0: (None, 2)}


def test_drafts_of_a_turn_that_others_joined_are_kept_under_its_first_message() -> None:
    first = Draft(answers=(0,), part=0, state="sent", message_id="p1")
    joined = Draft(answers=(0, 1), part=1, state="sending")
    view = view_of(user("m0"), user("m1"), first, joined)

    assert sorted(view.drafts[0]) == [0, 1]


def test_a_command_answers_with_drafts_too() -> None:
    view = view_of(command("help"), Draft(answers=(0,), part=0, state="sending"), sent(0))

    assert view.drafts == {}


def test_a_reset_holds_after_a_reload() -> None:
    """Forgotten in memory only, `/new` would be undone by a restart."""
    given = numbered(
        user("m0"), answer(0), sent(1), command("new"), Reset(reason="new", source=source("c")), user("m5")
    )
    view = fold(parse_line(encode_line(record)) for record in given)

    assert view.turns == []
    assert list(view.pending) == [5]


def test_what_was_accepted_while_a_reset_was_made_still_waits() -> None:
    view = view_of(user("m0"), Reset(reason="new"), answer(0))

    assert contents(view.turns) == [(["text of m0"], "a reply")]


def test_a_redelivery_is_recognised_across_resets() -> None:
    view = view_of(user("m0"), answer(0), command("new", "n"), Reset(reason="new", source=source("n")))

    assert view.knows("chat", "m0") == 0
    assert view.knows("chat", "n") == 2
    assert view.knows("chat", "m1") is None
    assert view.knows("other", "m0") is None


def many(count: int, apart: timedelta) -> Transcript:
    """Return a session of so many answered messages."""
    view = Transcript()
    for number in range(count):
        view.apply(user(f"m{number}", seq=2 * number, ts=format_time(START + number * apart)))
        view.apply(failure(2 * number, told=False, seq=2 * number + 1))
    return view


def test_the_last_two_thousand_messages_are_known_however_old_they_are() -> None:
    view = many(SEEN_MESSAGES + 500, timedelta(days=1))

    assert len(view.seen) == SEEN_MESSAGES == 2000
    assert view.knows("chat", "m500") == 1000
    assert view.knows("chat", "m499") is None


def test_the_messages_of_a_day_are_known_however_many_they_are() -> None:
    view = many(SEEN_MESSAGES + 3000, timedelta(seconds=30))
    oldest = 24 * 60 * 2

    assert view.knows("chat", f"m{4999 - oldest}") is not None
    assert view.knows("chat", f"m{4999 - oldest - 1}") is None


@pytest.mark.parametrize("ts", ["", "yesterday", "0001-01-01T00:00:00.000Z", "2026-01-01"])
def test_nothing_is_forgotten_by_a_clock_that_makes_no_sense(ts: str) -> None:
    view = many(SEEN_MESSAGES + 10, timedelta(0))
    view.apply(user("last", seq=90_000, ts=ts))

    assert len(view.seen) == SEEN_MESSAGES + 11


def test_history_of_an_older_format_is_turns_of_which_nothing_waits() -> None:
    lines = ["a", "A", "b", "c", "C"]
    roles = ["user", "assistant", "user", "user", "assistant"]
    view = fold(
        UserMessage(content=text) if role == "user" else AssistantMessage(content=text)
        for role, text in zip(roles, lines, strict=True)
    )

    assert contents(view.turns) == [(["a"], "A"), (["b"], None), (["c"], "C")]
    assert view.is_idle
    assert view.next_seq == 5


def test_an_answer_that_names_history_ends_it() -> None:
    view = view_of(UserMessage(content="a"), UserMessage(content="b"), answer(0, content="A"))

    assert contents(view.turns) == [(["b"], None), (["a"], "A")]


def test_an_erased_message_and_the_answer_to_it_make_no_turn() -> None:
    view = view_of(Erased(), answer(0), sent(1))

    assert view.turns == []
    assert view.is_idle


def test_damage_is_counted_and_what_is_not_known_keeps_its_place() -> None:
    view = fold([user("m", seq=0), Damaged(fault="x"), Unknown(seq=1, name="hologram"), Damaged(fault="y")])

    assert (view.damaged_lines, view.next_seq) == (2, 2)
    assert list(view.pending) == [0]


def test_the_header_names_the_session() -> None:
    assert view_of(SessionHeader(version=1, key=KEY)).key == KEY


anything = (
    records
    | st.builds(Damaged, fault=st.text(max_size=3))
    | st.builds(Unknown, seq=st.integers(-1, 40), name=st.text())
)


@CALM
@given(st.lists(anything, max_size=40))
def test_any_sequence_of_records_can_be_folded(given: list[Record | Damaged | Unknown]) -> None:
    view = fold(given)

    assert all(turn.messages for turn in view.turns)
    assert len(view.live_turns) <= len(view.turns)
    assert view.next_seq <= len(given) + 41
    assert not (view.is_idle and view.unsettled)


@CALM
@given(st.lists(st.sampled_from(["say", "reply", "answer", "fail", "silent", "deliver", "reset", "delete", "edit"])))
def test_every_message_is_pending_or_in_one_turn_or_before_the_reset(steps: list[str]) -> None:
    history = History()
    for step in steps:
        match step:
            case "fail" | "silent":
                history.fail(told=step == "fail")
            case "delete" | "edit":
                history.change(back=1, deleted=step == "delete")
            case _:
                getattr(history, step)()
    view = history.view
    said = [record.seq for record in history.records if isinstance(record, UserMessage)]
    last_reset = max((record.seq for record in history.records if isinstance(record, Reset)), default=-1)
    in_turns = [message.seq for turn in view.turns for message in turn.messages]

    assert sorted([*in_turns, *view.pending]) == [seq for seq in said if seq > last_reset]
    assert view.next_seq == len(history.records)


def test_a_summary_of_what_came_between_new_and_its_reset_is_in_force() -> None:
    summary = Compaction(covers=(2, 2), digest="", summary="s")
    view = view_of(
        command("new"), answer(0), user("m2"), Reset(reason="new"), answer(2), user("m5"), answer(5), summary
    )

    assert view.summary is not None
    assert contents(view.live_turns) == [(["text of m5"], "a reply")]


def test_a_summary_that_says_that_it_covers_what_comes_after_it_hides_nothing() -> None:
    damaged = Compaction(covers=(0, 800), digest="", summary="s")
    view = view_of(user("m0"), answer(0), damaged, user("m3"), answer(3))

    assert view.summary is None
    assert len(view.live_turns) == 2

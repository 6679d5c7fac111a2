from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentd.context.compaction import (
    BETWEEN_TOKENS,
    SOURCE_CHARACTERS,
    Chunk,
    Extent,
    find_cut,
    plan_chunk,
    render_source,
    render_turn,
)
from agentd.context.prompt import Budget, Past, estimate_past, estimate_turn
from agentd.context.tokens import estimate_tokens
from agentd.transcript.records import AssistantMessage, Failure, UserMessage
from agentd.transcript.view import Turn
from tests.unit.agentd.transcript.building import CALM

EXTENT = Extent(Budget(30_000, 15_000), most_messages=50, keep_messages=20)

ended = st.sampled_from([AssistantMessage(content="fine"), Failure(answers=(), reason="stopped", told=True), None])
lengths = st.sampled_from([1, 1, 40, 3_000, 20_000])


def turn(*seqs: int, text: str = "hello", end: AssistantMessage | Failure | None = None) -> Turn:
    messages = tuple(UserMessage(content=text, seq=seq) for seq in seqs)
    return Turn(messages, end or AssistantMessage(content="hi"))


def past(count: int, text: str = "hello") -> Past:
    return Past([turn(4 * number, text=text) for number in range(count)])


LONG = past(10, "word " * 200)
LONG_COST = estimate_turn(LONG.turns[0], LONG, EXTENT.budget)


@st.composite
def pasts(draw: st.DrawFn) -> tuple[Past, list[int]]:
    """Return turns, not all of them in the order in which their messages came, and the seqs of what waits."""
    seqs = draw(st.permutations(range(draw(st.integers(0, 30)))))
    nearly = sorted(seqs, key=lambda seq: seq + 3 * (seqs.index(seq) % 2))
    waiting, groups = draw(st.integers(0, min(3, len(nearly)))), []
    said, left = nearly[: len(nearly) - waiting], nearly[len(nearly) - waiting :]
    while said:
        size = draw(st.integers(1, 3))
        groups.append(said[:size])
        said = said[size:]
    turns = [
        Turn(tuple(UserMessage(content="x" * draw(lengths), seq=seq) for seq in group), draw(ended)) for group in groups
    ]
    return Past(turns), left


def test_fifty_messages_and_one_to_come_are_too_many() -> None:
    assert not EXTENT.is_due(past(24), 0)
    assert EXTENT.is_due(past(25), 0)


def test_where_an_odd_number_of_messages_is_allowed_the_one_to_come_may_be_the_last_of_them() -> None:
    odd = Extent(EXTENT.budget, most_messages=49, keep_messages=20)

    assert not odd.is_due(past(24), 0)
    assert odd.is_due(past(25), 0)


def test_three_quarters_of_the_budget_are_the_other_trigger() -> None:
    assert not EXTENT.is_due(past(2), 22_500)
    assert EXTENT.is_due(past(2), 22_501)


def test_the_twenty_newest_messages_are_kept() -> None:
    assert find_cut(past(26), EXTENT) == 16


def test_the_cut_moves_back_to_a_message_of_a_person() -> None:
    odd = Extent(EXTENT.budget, most_messages=50, keep_messages=5)

    assert find_cut(past(26), odd) == 23


def test_of_long_turns_fewer_are_kept_so_that_the_next_summary_is_not_due_at_once() -> None:
    long = past(10, "word " * 4_000)
    cut = find_cut(long, EXTENT)
    kept = Past(long.turns[cut:])

    assert 0 < cut < 10
    assert estimate_past("", kept, EXTENT.budget) <= EXTENT.budget.tokens // 2 + 100


@pytest.mark.parametrize(
    ("tail_tokens", "kept"), [(None, 5), (10**9, 5), (3 * LONG_COST, 3), (3 * LONG_COST - 1, 2), (0, 1)]
)
def test_what_stays_costs_no_more_than_there_is_room_for_and_no_more_than_half_of_the_budget(
    tail_tokens: int | None, kept: int
) -> None:
    budget = Budget(10 * LONG_COST, 10 * LONG_COST)

    assert find_cut(LONG, Extent(budget, most_messages=50, keep_messages=20), tail_tokens=tail_tokens) == 10 - kept


def test_the_last_turn_that_ended_is_kept_whatever_it_costs() -> None:
    turns = [turn(0), turn(4, text="word " * 60_000), Turn((UserMessage(content="x", seq=8),), None)]

    assert find_cut(Past(turns), EXTENT, harder=True) == 1


def test_asked_for_half_of_the_turns_are_taken_in_at_least() -> None:
    assert find_cut(past(6), EXTENT) == 0
    assert find_cut(past(6), EXTENT, harder=True) == 3
    assert find_cut(past(7), EXTENT, harder=True) == 4


@CALM
@given(pasts(), st.integers(0, 30))
def test_what_a_summary_takes_in_came_before_all_that_stays_and_all_that_waits(
    given_past: tuple[Past, list[int]], most: int
) -> None:
    before, waiting = given_past
    chunk = plan_chunk(before, most, waiting)
    if chunk is None:
        return
    later = [message.seq for left in before.turns[len(chunk.turns) :] for message in left.messages]

    assert list(chunk.turns) == list(before.turns[: len(chunk.turns)])
    assert len(chunk.turns) <= most
    assert max(message.seq for taken in chunk.turns for message in taken.messages) == chunk.to
    assert all(chunk.to < seq for seq in (*later, *waiting))


@CALM
@given(pasts())
def test_what_a_summary_is_made_from_is_bounded(given_past: tuple[Past, list[int]]) -> None:
    before, waiting = given_past
    chunk = plan_chunk(before, len(before.turns), waiting)

    assert chunk is None or len(render_source(chunk, before)) <= SOURCE_CHARACTERS + 10 * len(chunk.turns)


def test_a_long_past_is_taken_in_chunk_by_chunk_until_none_is_left() -> None:
    left, chunks = past(30, "word " * 400), 0
    while (chunk := plan_chunk(left, len(left.turns), ())) is not None:
        left = Past(left.turns[len(chunk.turns) :])
        chunks += 1

    assert chunks == 6
    assert left.turns == []


def test_one_turn_longer_than_a_request_is_taken_in_alone_and_cut_visibly() -> None:
    before = Past([turn(0, text="word " * 10_000), turn(4)])
    chunk = plan_chunk(before, 2, ())

    assert chunk == Chunk((before.turns[0],), 0)
    assert " [...] " in render_source(chunk, before)


def test_a_message_taken_back_while_an_earlier_one_waits_is_not_taken_in_before_it() -> None:
    taken_back = Turn((UserMessage(content="gone", seq=9),), None)

    assert plan_chunk(Past([turn(0), taken_back]), 2, [5]) == Chunk((turn(0),), 0)


def test_where_even_the_first_turns_exceed_a_request_no_more_of_them_are_taken_in_than_must_be() -> None:
    """The first turn's message came after the second's: neither can be taken in without the other."""
    before = Past([turn(4, text="word " * 10_000), turn(0), turn(8), turn(12)])

    assert plan_chunk(before, 4, ()) == Chunk(tuple(before.turns[:2]), 4)


@pytest.mark.parametrize("character", ["word ", "👨‍👩‍👧‍👦", "🇩🇪"])
def test_a_turn_that_is_cut_keeps_its_beginning_and_its_end_and_tears_no_character(character: str) -> None:
    before = Past([turn(0, text=character * 10_000)])
    source = render_source(Chunk(tuple(before.turns), 0), before)
    beginning, end = source.split(" [...] ")
    start, finish = beginning.removeprefix("Person: "), end.removesuffix("\nAssistant: hi")

    assert (len(beginning) - len(start), len(end) - len(finish)) == (len("Person: "), len("\nAssistant: hi"))
    assert (character * 10_000).startswith(start)
    assert character == "word " or (start + finish).replace(character, "") == ""
    assert SOURCE_CHARACTERS - 50 <= len(source) <= SOURCE_CHARACTERS
    assert abs(len(beginning) - len(end)) < 50


def test_turns_that_fill_a_request_just_so_are_taken_in_whole() -> None:
    short, frame = turn(0), len(render_turn(turn(4, text=""), Past()))
    room = SOURCE_CHARACTERS - len(render_turn(short, Past()))
    before = Past([short, turn(4, text="x" * (room - frame))])
    chunk = plan_chunk(before, 2, ())

    assert chunk == Chunk(tuple(before.turns), 4)
    assert " [...] " not in render_source(chunk, before)


def test_turns_that_cost_just_what_a_request_holds_are_taken_in_whole() -> None:
    before = Past([turn(0), turn(4, text="word " * 300)])
    tokens = sum(estimate_tokens(render_turn(one, before)) + BETWEEN_TOKENS for one in before.turns)
    chunk = plan_chunk(before, 2, (), tokens)

    assert chunk == Chunk(tuple(before.turns), 4)
    assert "characters left out" not in render_source(chunk, before, tokens)


@pytest.mark.parametrize("most_tokens", range(900, 1_000, 20))
def test_many_turns_that_are_cut_cost_together_what_a_request_holds(most_tokens: int) -> None:
    turns = tuple(turn(4 * number, text="word " * 100) for number in range(20))

    assert estimate_tokens(render_source(Chunk(turns, 76), Past(turns), most_tokens)) <= most_tokens

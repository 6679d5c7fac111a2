"""These tests check how many tokens a prompt may cost, and how many of them each of its parts may take."""

from __future__ import annotations

import pytest

from agentd.context.prompt import (
    LEAST_SUMMARY_TOKENS,
    OMITTED_NOTE,
    SUMMARY_END,
    SUMMARY_HEAD,
    SUMMARY_PARTS,
    SUMMARY_READ,
    Budget,
    Past,
    build_budget,
    build_prompt,
    estimate_past,
    estimate_prompt,
    summary_room,
)
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens
from agentd.providers.base import PromptMessage
from agentd.transcript.records import AssistantMessage, UserMessage
from agentd.transcript.view import Turn


def turn(text: str, reply: str = "fine") -> Turn:
    return Turn((UserMessage(content=text),), AssistantMessage(content=reply))


@pytest.mark.parametrize(
    ("context", "reply", "factor", "budget"),
    [
        (8192, 1024, 1.0, Budget(7168, 3584)),
        (8192, 1024, 1.6, Budget(4480, 3584)),
        (8193, 1024, 0.5, Budget(14338, 3584)),
        (4096, 4096, 1.0, Budget(1024, 512)),
        (4103, 9999, 1.0, Budget(1025, 512)),
    ],
)
def test_a_budget_is_what_the_reply_leaves_and_a_quarter_at_least(
    context: int, reply: int, factor: float, budget: Budget
) -> None:
    found = build_budget(context, reply, factor)

    assert found == budget
    assert all(isinstance(tokens, int) for tokens in (found.tokens, found.piece_tokens))


def test_without_a_factor_the_model_counts_as_the_estimate_does() -> None:
    assert build_budget(8192, 1024) == build_budget(8192, 1024, 1.0)


def test_a_summary_and_its_frame_take_a_third_of_the_budget_or_there_is_none() -> None:
    frame = estimate_tokens(SUMMARY_HEAD + SUMMARY_END) + estimate_tokens(SUMMARY_READ) + 2 * MESSAGE_OVERHEAD_TOKENS
    least = SUMMARY_PARTS * (LEAST_SUMMARY_TOKENS + frame)

    assert summary_room(Budget(least, 1)) == LEAST_SUMMARY_TOKENS
    assert summary_room(Budget(least - 1, 1)) == 0
    assert summary_room(Budget(30_001, 1)) == 10_000 - frame


def test_what_was_recalled_stands_before_the_newest_message_where_there_is_room_for_both() -> None:
    recalled, newest = "[Recalled.]\n", [UserMessage(content="newest")]

    whole = build_prompt("", Past([]), newest, Budget(1000, 500), recalled)
    tight = build_prompt("", Past([]), newest, Budget(200, 100), recalled * 100)

    assert whole.messages[-1] == PromptMessage("user", "[Recalled.]\nnewest")
    assert tight.messages[-1] == PromptMessage("user", "newest")


@pytest.mark.parametrize("summary", ["", "- likes tea"])
def test_the_past_costs_what_a_prompt_with_all_of_it_costs_without_the_question(summary: str) -> None:
    past, budget = Past([turn("one " * 50), turn("two " * 700)], summary), Budget(5_000, 500)
    prompt = build_prompt("Be kind.", past, [UserMessage(content="newest")], budget)

    assert prompt.omitted_turns == 0
    assert estimate_past("Be kind.", past, budget) == estimate_prompt(prompt.messages[:-1])


def test_a_prompt_that_leaves_turns_out_tells_what_it_costs_and_how_much_room_they_had() -> None:
    budget, newest = Budget(1_000, 500), [UserMessage(content="newest")]
    prompt = build_prompt("", Past([turn("word " * 400) for _ in range(3)]), newest, budget)
    around = (prompt.messages[0], prompt.messages[-1])

    assert prompt.omitted_turns == 1
    assert prompt.tokens == estimate_prompt(prompt.messages)
    assert prompt.tail_tokens == budget.tokens - estimate_prompt(around)


def test_a_turn_for_which_there_is_just_room_is_whole_and_with_less_it_is_cut() -> None:
    past, newest = Past([turn("word " * 200)]), [UserMessage(content="newest")]
    needed = build_prompt("", past, newest, Budget(5_000, 500)).tokens + estimate_tokens(OMITTED_NOTE)
    just, less = (build_prompt("", past, newest, Budget(tokens, 500)) for tokens in (needed, needed - 1))

    assert (just.messages[1].content, just.omitted_turns) == ("word " * 200, 0)
    assert "characters left out" in less.messages[1].content


def test_a_last_turn_with_a_long_question_and_a_long_reply_is_cut_in_both_and_fills_its_room() -> None:
    past = Past([turn("word " * 2_000, "word " * 2_000)])
    prompt = build_prompt("", past, [UserMessage(content="newest")], Budget(1_000, 900))

    assert [("characters left out" in message.content) for message in prompt.messages] == [False, True, True, False]
    assert 950 <= prompt.tokens + estimate_tokens(OMITTED_NOTE) <= 1_000


def test_a_system_text_of_half_a_budget_is_whole() -> None:
    system = "rule " * 100
    half = estimate_tokens(system)
    prompt = build_prompt(system, Past(), [UserMessage(content="newest")], Budget(2 * half, 2 * half))

    assert prompt.messages[0].content == system


def test_a_question_larger_than_a_prompt_has_half_of_it_however_long_the_past_is() -> None:
    past = Past([turn("word " * 300) for _ in range(10)])
    prompt = build_prompt("", past, [UserMessage(content="now " * 10_000)], Budget(2_000, 1_000))

    assert 900 <= estimate_tokens(prompt.messages[-1].content) <= 1_000

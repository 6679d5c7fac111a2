"""These tests check how many tokens a prompt may cost, and how many of them a summary may take."""

from __future__ import annotations

import pytest

from agentd.context.prompt import (
    LEAST_SUMMARY_TOKENS,
    SUMMARY_END,
    SUMMARY_HEAD,
    SUMMARY_PARTS,
    SUMMARY_READ,
    Budget,
    Past,
    build_budget,
    build_prompt,
    summary_room,
)
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens
from agentd.transcript.records import UserMessage


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

    assert whole.messages[-1].content == "[Recalled.]\nnewest"
    assert tight.messages[-1].content == "newest"

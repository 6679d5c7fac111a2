"""These tests check that the judge of requests finds every fault, and none in a request that is right."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.longhaul.journal import Compaction, PastTurn
from tests.longhaul.prompts import Expected, Message, PromptFaults, common_length, judge_prompt, prefix_share

SYSTEM = "You are the assistant."
SUMMARY = "- keep: Lotus-00002"
FRAME = f"[A record of the past.]\n{SUMMARY}\n[End of it.]"

COVERED = PastTurn((1,), ("What was the name of the lake?",), "The one near Aarhus.")
FIRST = PastTurn((4,), ("And how far is it?",), "Twenty minutes by train.")
SECOND = PastTurn((8, 9), ("Thanks.", "One more thing: what does it cost?"), "Nothing at all.")
NEWEST = "Then I'll go on Monday."
GIANT = "".join(f"line {number} of a log, " for number in range(1_000))


def expected(
    live: Sequence[PastTurn] = (FIRST, SECOND), newest: str = NEWEST, *, is_compacted: bool = True
) -> Expected:
    compaction = Compaction(7, 1, 1, SUMMARY) if is_compacted else None
    return Expected(SYSTEM, compaction, live, [COVERED], (newest,), lambda text: len(text) > 1_000)


def turn(asked: str, reply: str) -> list[Message]:
    return [("user", asked), ("assistant", reply)]


HEAD: list[Message] = [("system", f"{SYSTEM}\nSome more."), ("user", FRAME), ("assistant", "I have read it.")]
TAIL = [
    *turn("And how far is it?", "Twenty minutes by train."),
    *turn("Thanks.\n\nOne more thing: what does it cost?", "Nothing at all."),
]
LAST: Message = ("user", NEWEST)


def cut(text: str) -> str:
    return f"{text[:500]}\n[... {len(text) - 1_000} characters left out ...]\n{text[-500:]}"


def test_nothing_is_wrong_with_a_prompt_that_holds_everything_once() -> None:
    assert judge_prompt([*HEAD, *TAIL, LAST], expected()) == PromptFaults()


def test_nothing_is_wrong_with_a_prompt_before_there_is_a_summary() -> None:
    assert judge_prompt([HEAD[0], *TAIL, LAST], expected(is_compacted=False)) == PromptFaults()


def test_nothing_is_wrong_with_large_texts_that_are_cut_visibly() -> None:
    live = [PastTurn((4,), (GIANT,), "Long.")]
    prompt = [*HEAD, *turn(cut(GIANT), "Long."), ("user", cut(GIANT))]

    assert judge_prompt(prompt, expected(live, GIANT)) == PromptFaults()


def test_a_cut_may_leave_out_less_than_the_note_about_it_takes() -> None:
    shown = f"{GIANT[:500]}\n[... 10 characters left out ...]\n{GIANT[510:]}"

    assert len(shown) > len(GIANT)
    assert judge_prompt([*HEAD, *TAIL, ("user", shown)], expected(newest=GIANT)) == PromptFaults()


@pytest.mark.parametrize(
    ("prompt", "count"),
    [
        ([*HEAD, *TAIL[2:], LAST], 1),
        ([*HEAD, LAST], 2),
        ([*HEAD, TAIL[0], TAIL[1], *TAIL[:2], LAST], 2),
        ([*HEAD, TAIL[0], ("assistant", "Twenty minutes."), *TAIL[2:], LAST], 1),
        ([*HEAD, ("user", "And how far is i"), *TAIL[1:], LAST], 1),
        ([*HEAD, *TAIL[:2], *turn("One more thing: what does it cost?", "Nothing at all."), LAST], 2),
        ([*HEAD, *TAIL[:2], *turn("One more thing: what does it cost?\n\nThanks.", "Nothing at all."), LAST], 2),
        ([*HEAD, *TAIL[2:], *TAIL[:2], LAST], 2),
        ([*HEAD, *TAIL[:2], *turn("Thanks.\n\nOne more thing: what does it cost?" + "!" * 30, "Nothing."), LAST], 2),
        ([HEAD[0], *TAIL, LAST], 1),
        ([HEAD[0], ("user", "[A record:] - keep: Lotus-0000"), HEAD[2], *TAIL, LAST], 1),
        ([HEAD[0], ("user", FRAME + SUMMARY), HEAD[2], *TAIL, LAST], 1),
        ([("system", "Another text."), *HEAD[1:], *TAIL, LAST], 1),
    ],
    ids=[
        "the oldest turn is left out",
        "every turn is",
        "a turn stands in another's place",
        "a reply is shortened",
        "a message is shortened",
        "one of two messages is left out",
        "two messages have changed places",
        "two turns have",
        "a message is longer than it was",
        "the summary is not there",
        "the summary is shortened",
        "the summary is there twice",
        "the system text is not",
    ],
)
def test_what_is_neither_there_nor_covered_is_found(prompt: list[Message], count: int) -> None:
    faults = judge_prompt(prompt, expected())

    assert len(faults.neither) == count


@pytest.mark.parametrize(
    "prompt",
    [
        [*HEAD, *turn(COVERED.texts[0], "The one near Aarhus."), *TAIL, LAST],
        [*HEAD, *turn("ok", "fine"), *TAIL, LAST],
        [HEAD[0], ("user", f"{FRAME}\n{COVERED.texts[0]}"), HEAD[2], *TAIL, LAST],
        [HEAD[0], ("user", f"{FRAME}\n{'x' * 1_100}"), HEAD[2], *TAIL, LAST],
    ],
    ids=["a covered turn", "an unknown one", "a covered message beside the summary", "too much beside it"],
)
def test_what_is_covered_and_there_is_found(prompt: list[Message]) -> None:
    faults = judge_prompt(prompt, expected())

    assert faults.both
    assert not faults.neither


def test_what_stands_before_the_turns_without_a_summary_is_found() -> None:
    prompt = [HEAD[0], *turn("ok", "fine"), *TAIL, LAST]

    assert judge_prompt(prompt, expected(is_compacted=False)).both


@pytest.mark.parametrize(
    "last",
    [("user", NEWEST[:-1]), ("user", f"{NEWEST} [End.]"), ("assistant", NEWEST), ("user", "something else")],
    ids=["shortened", "not at the end", "not the person's", "another"],
)
def test_a_newest_message_that_is_not_last_and_verbatim_is_found(last: Message) -> None:
    assert judge_prompt([*HEAD, *TAIL, last], expected()).newest


@pytest.mark.parametrize(
    "shown",
    [
        GIANT[:500] + GIANT[-500:],
        f"{GIANT[:20]}\n[... 20000 characters left out ...]\n",
        f"{GIANT[:500]}\n[... {'left out ' * 50}...]\n{GIANT[-500:]}",
        cut(GIANT.upper()),
        f"{GIANT}\n[... nothing left out ...]",
    ],
    ids=["without a note", "with nothing left", "with a note that is endless", "of another text", "with nothing cut"],
)
def test_a_large_message_that_is_not_cut_as_it_should_be_is_found(shown: str) -> None:
    assert judge_prompt([*HEAD, *TAIL, ("user", shown)], expected(newest=GIANT)).newest


def test_a_message_that_is_not_large_must_not_be_cut() -> None:
    short = GIANT[:900]
    shown = f"{short[:300]}\n[... 300 characters left out ...]\n{short[-300:]}"

    assert judge_prompt([*HEAD, *TAIL, ("user", shown)], expected(newest=short)).newest


@pytest.mark.parametrize(
    ("one", "other", "length"),
    [("", "", 0), ("abc", "abc", 3), ("abc", "abd", 2), ("abc", "ab", 2), ("x", "y", 0), ("", "y", 0)],
)
def test_how_far_two_texts_are_alike_is_counted(one: str, other: str, length: int) -> None:
    assert common_length(one, other) == length


def test_the_share_of_a_prefix_is_that_of_the_characters_that_are_sent() -> None:
    before = [("system", "s" * 92), ("user", "one")]
    longer = [*before, ("assistant", "two"), ("user", "next")]

    assert prefix_share(before, before) == 1
    assert prefix_share(before, longer) == pytest.approx((100 + 9) / (100 + 9 + 14 + 10))
    assert prefix_share(before, [("system", "t" + "s" * 91), *longer[1:]]) == pytest.approx(7 / 133)

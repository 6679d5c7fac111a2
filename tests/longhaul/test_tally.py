"""These tests check that a missed target fails a run, and that the judge's findings are counted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.longhaul.journal import Journal
from tests.longhaul.judge import Judge
from tests.longhaul.model import SYSTEM_PROMPT, Heard
from tests.longhaul.prompts import Message
from tests.longhaul.tally import Tally
from tests.longhaul.vocabulary import Vocabulary, load_vocabulary

CONTEXT_TOKENS = 1_000


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(lambda text: len(text.split()))


def good() -> Tally:
    tally = Tally(turns=200, made=9, restarts=2, compared=6, cpu_ms=9)
    tally.prefixes.extend([0.95] * 199 + [0.1])
    return tally


def test_a_run_that_meets_every_target_has_no_fault() -> None:
    assert good().faults == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("waited", 3), ("made", 0), ("differing", 1), ("cpu_ms", 15.1)],
)
def test_a_figure_that_misses_its_target_is_a_fault(name: str, value: float) -> None:
    tally = good()
    setattr(tally, name, value)

    assert len(tally.faults) == 1


@pytest.mark.parametrize(
    "kind",
    ["over the budget", "neither", "both", "newest", "covers", "digest", "size", "bytes", "failure", "log"],
)
def test_whatever_is_wrong_is_a_fault_with_its_example(kind: str) -> None:
    tally = good()
    tally.note(kind, ["this one", *(["another"] * 50)], "turn 7: ")

    missed, example, *others = tally.faults
    assert missed.endswith(": 51, not 0")
    assert example == f"{kind}: turn 7: this one"
    assert len(others) < 10


def test_prefixes_that_are_mostly_lost_are_a_fault() -> None:
    tally = good()
    tally.prefixes.extend([0.84] * 300)

    assert len(tally.faults) == 1


@pytest.mark.parametrize("is_summary", [False, True])
def test_a_request_over_the_budget_is_a_fault_and_one_that_just_fits_is_none(is_summary: bool) -> None:
    tally = good()
    tally.take_request(CONTEXT_TOKENS, CONTEXT_TOKENS, is_summary=is_summary)
    assert tally.faults == []

    tally.take_request(CONTEXT_TOKENS + 1, CONTEXT_TOKENS, is_summary=is_summary)
    assert len(tally.faults) == 2


def test_prompts_after_a_restart_are_compared_byte_for_byte() -> None:
    tally = Tally()
    tally.compare([], [])
    tally.compare([("user", "a")], [("user", "a")])
    assert (tally.compared, tally.differing) == (1, 0)

    tally.compare([("user", "a")], [("user", "a ")])
    tally.compare([("user", "a")], [])
    tally.compare([], [("user", "a")])
    assert (tally.compared, tally.differing) == (4, 3)


def test_tokens_are_those_of_a_real_vocabulary() -> None:
    real = load_vocabulary()

    assert real.count("") == 0
    assert real.count("hello world") == 2
    assert real.count("😂" * 100) > 50
    assert real.count("hello world") == 2
    assert real.count_messages(["hello world", ""]) == 2 + 2 * 4


class Judged:
    """A judge beside a file with one turn that is covered and one that is not."""

    def __init__(self, folder: Path, vocabulary: Vocabulary) -> None:
        """Write the file."""
        self.tally = Tally()
        self.path = folder / "session.jsonl"
        self._seq = 0
        for record in (
            {"type": "message", "role": "user", "content": "What is the old question?"},
            {"type": "message", "role": "assistant", "content": "old", "answers": [0]},
            {"type": "message", "role": "user", "content": "a later question"},
            {"type": "message", "role": "assistant", "content": "later", "answers": [2]},
        ):
            self.write(record)
        self.journal = Journal(self.path)
        self.judge = Judge(self.tally, self.journal, vocabulary, CONTEXT_TOKENS)

    def write(self, record: Mapping[str, object]) -> None:
        """Append a record."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"seq": self._seq, **record}) + "\n")
        self._seq += 1

    def compact(self, summary: str) -> None:
        """Let the first turn be covered."""
        about = {"covers": [0, 0], "digest": "", "tokens_before": 2, "tokens_after": 1}
        self.write({"type": "compaction", "summary": summary, **about})

    def ask(self, *texts: str) -> None:
        """Write messages that wait."""
        self.journal.read()
        self.journal.mark()
        for text in texts:
            self.write({"type": "message", "role": "user", "content": text})

    def take(self, *messages: Message) -> dict[str, int]:
        """Judge a prompt of these messages, and return how much is wrong."""
        self.journal.read()
        self.judge.take(Heard((("system", SYSTEM_PROMPT), *messages), 10, is_summary=False))
        return self.tally.counts


@pytest.fixture
def judged(tmp_path: Path, vocabulary: Vocabulary) -> Judged:
    return Judged(tmp_path, vocabulary)


OLD: Sequence[Message] = [("user", "What is the old question?"), ("assistant", "old")]
LATER: Sequence[Message] = [("user", "a later question"), ("assistant", "later")]
SUMMARY: Sequence[Message] = [("user", "[Record: - tea]"), ("assistant", "Read.")]


def test_a_prompt_with_a_summary_that_is_not_on_record_is_a_fault(judged: Judged) -> None:
    judged.ask("now")

    assert judged.take(*SUMMARY, *LATER, ("user", "now")) == {"neither": 1}


def test_a_prompt_that_holds_covered_turns_is_a_fault(judged: Judged) -> None:
    judged.compact("- tea")
    judged.ask("now")

    assert set(judged.take(*SUMMARY, *OLD, *LATER, ("user", "now"))) == {"both"}


def test_a_summary_that_comes_on_record_while_a_prompt_is_made_may_be_in_it_or_not(judged: Judged) -> None:
    judged.ask("now")
    judged.compact("- tea")

    assert judged.take(*OLD, *LATER, ("user", "now")) == {}
    assert judged.take(*SUMMARY, *LATER, ("user", "now")) == {}
    assert judged.take(*LATER, ("user", "now")) != {}


def test_one_that_came_before_may_not_be_missing(judged: Judged) -> None:
    judged.compact("- tea")
    judged.ask("now")

    assert set(judged.take(*OLD, *LATER, ("user", "now"))) == {"both", "neither"}


def test_a_message_that_has_not_joined_yet_may_be_missing_until_the_turn_ends(judged: Judged) -> None:
    judged.ask("one", "two")
    assert judged.take(*OLD, *LATER, ("user", "one")) == {}
    assert judged.take(*OLD, *LATER, ("user", "one\n\ntwo")) == {}
    judged.write({"type": "message", "role": "assistant", "content": "r", "answers": [4, 5]})
    judged.journal.read()
    judged.judge.end_step()

    assert judged.tally.counts == {}


def test_a_message_that_never_joined_and_is_answered_all_the_same_is_a_fault(judged: Judged) -> None:
    judged.ask("one", "two")
    judged.take(*OLD, *LATER, ("user", "one"))
    judged.write({"type": "message", "role": "assistant", "content": "r", "answers": [4, 5]})
    judged.journal.read()
    judged.judge.end_step()

    assert judged.tally.counts == {"failure": 1}


def test_the_first_of_two_messages_may_not_be_missing(judged: Judged) -> None:
    judged.ask("one", "two")

    assert judged.take(*OLD, *LATER, ("user", "two")) == {"newest": 1}


def test_prefixes_are_those_of_one_turn_after_another(judged: Judged) -> None:
    judged.ask("now")
    judged.take(*OLD, *LATER, ("user", "now"))
    judged.take(*OLD, *LATER, ("user", "now"))

    assert list(judged.tally.prefixes) == [1.0]

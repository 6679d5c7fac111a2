"""These tests check that the judge of a soak finds what is wrong, and allows what is not."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.load.crowd import COPY, END, Seen
from tests.soak.books import Range, SessionFile
from tests.soak.daemon import Left, Life
from tests.soak.growth import FEWEST_LIVES, FEWEST_SAMPLES, measure
from tests.soak.judge import Asked, Evidence, changed_files, judge

TEXT = "Q7n1 my cat is called Tom, by the way."
ANSWER = Seen("dm", f"Answer 1 to Q7n1: {END}", message_id="m2")
LEARNT = Range("session", 1, 1)


def _session(*records: Mapping[str, Any], name: str = "session") -> SessionFile:
    header = {"type": "session", "key": {"channel": "telegram"}}
    return SessionFile(name, [{"seq": seq, **record} for seq, record in enumerate([header, *records])])


def _user(text: str = TEXT, message_id: str = "m1") -> Mapping[str, Any]:
    return {"type": "message", "role": "user", "content": text, "source": {"message_id": message_id}}


def _answer(*answers: int, outcome: str = "complete") -> Mapping[str, Any]:
    return {"type": "message", "role": "assistant", "content": "", "answers": answers, "outcome": outcome}


def _failure(*answers: int) -> Mapping[str, Any]:
    return {"type": "failure", "answers": answers, "told": True, "reason": "provider"}


def _delivery(of: int, *message_ids: str, state: str = "sent") -> Mapping[str, Any]:
    return {"type": "delivery", "of": of, "message_ids": message_ids, "state": state}


GOOD = Evidence(
    asked={"Q7n1": Asked("telegram", "dm", TEXT)},
    screens={"telegram": [ANSWER]},
    files=[_session(_user(), _answer(1), _delivery(2, "m2"))],
    learnt=[LEARNT],
    entries=[LEARNT],
)


def _screen(*shown: Seen) -> Evidence:
    return replace(GOOD, screens={"telegram": shown})


PASSED_BY = replace(
    GOOD,
    asked={"Q7n1": Asked("telegram", "dm", "Q7n1 well?")},
    files=[_session(_user("Q7n1 well?"), _answer(1), _delivery(2, "m2"))],
    entries=[],
)
"""What is too short to be learnt from, and marked as looked at."""


def _files(*files: SessionFile) -> Evidence:
    return replace(GOOD, files=files)


def test_one_answer_that_is_on_the_screen_and_on_disk_is_good() -> None:
    verdict = judge(GOOD)

    assert (verdict.written, verdict.answered, verdict.exchanges, verdict.faults) == (1, 1, 1, [])


@pytest.mark.parametrize(
    "evidence",
    [
        _screen(),
        _screen(replace(ANSWER, text="Answer 1 to Q7n1: word")),
        _files(),
        _files(_session(_user())),
        _files(_session(_user(), _answer(1))),
        _files(_session(_user(), _answer(1), _delivery(2, "m2", state="failed"))),
        _files(_session(_user(), _failure(1), _delivery(2, "m3"))),
    ],
    ids=["gone", "half", "not taken in", "no end", "no delivery", "failed", "not told"],
)
def test_a_message_without_its_answer_is_lost(evidence: Evidence) -> None:
    assert judge(evidence).lost


@pytest.mark.parametrize("text", [ANSWER.text, "Answer 2 to Q7n1: word"], ids=["whole", "half"])
def test_a_second_answer_without_a_mark_is_a_double(text: str) -> None:
    assert judge(_screen(ANSWER, Seen("dm", text, message_id="m3"))).doubles == ["Q7n1"]


def test_a_copy_with_its_mark_is_counted_and_is_no_double() -> None:
    copy = Seen("dm", f"[{COPY} ...]\n{ANSWER.text}", message_id="m3")
    in_doubt = _session(_user(), _answer(1), _delivery(2, "m3", state="uncertain"))
    verdict = judge(replace(_screen(ANSWER, copy), files=[in_doubt]))

    assert (verdict.copies, verdict.uncertain, verdict.faults) == (1, 1, [])


def test_whoever_was_told_that_there_is_no_answer_has_lost_nothing() -> None:
    told = _session(_user(), _failure(1), _delivery(2, "m2"))
    notice = Seen("dm", "The model is out of order.", message_id="m2")
    verdict = judge(replace(_screen(notice), files=[told], learnt=[], entries=[]))

    assert (verdict.told, verdict.answered, verdict.faults) == (1, 0, [])


@pytest.mark.parametrize(
    ("evidence", "words"),
    [
        (_screen(replace(ANSWER, place="another dm")), "answered elsewhere"),
        (_screen(ANSWER, Seen("dm", "A notice.", message_id="m3")), "nothing tells of"),
        (_files(*GOOD.files, _session(_user(), _answer(1), _delivery(2, "m2"))), "on record 2 times"),
        (_files(_session(_user(), _answer(1), _delivery(2, "m2"), _answer(1))), "2 ends"),
        (_files(_session(_user(), _answer(1), _delivery(2, "m2"), _delivery(2, "m2"))), "delivered twice"),
        (_files(replace(GOOD.files[0], records=[*GOOD.files[0].records, {"seq": 9, "type": "reset"}])), "a gap"),
        (_files(replace(GOOD.files[0], is_closed=False)), "line is open"),
        (_files(_session(_user(), _user("Q8n2", "m3"), _answer(1, 2), _delivery(3, "m2"))), "several people"),
        (replace(GOOD, learnt=[]), "learnt 0 times"),
        (replace(GOOD, learnt=[LEARNT, Range("session", 0, 5)]), "learnt 2 times"),
        (replace(GOOD, entries=[LEARNT, LEARNT]), "2 entries"),
        (replace(GOOD, entries=[LEARNT, Range("session", 4, 4)]), "not learnt"),
        (replace(GOOD, entries=[]), "0 entries"),
        (replace(PASSED_BY, entries=[LEARNT]), "1 entries"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_whatever_else_must_not_be_is_found(evidence: Evidence, words: str) -> None:
    assert [fault for fault in judge(evidence).faults if words in fault]


def test_what_is_too_short_is_looked_at_and_has_no_entry() -> None:
    assert judge(PASSED_BY).faults == []


@pytest.mark.parametrize(("entries", "faults"), [([Range("session", 1, 2)], 0), ([], 1)])
def test_messages_of_a_turn_that_are_long_enough_together_have_an_entry(entries: Sequence[Range], faults: int) -> None:
    together = Evidence(
        asked={"Q7n1": Asked("telegram", "dm", "Q7n1 well?"), "Q7n2": Asked("telegram", "dm", "Q7n2 and so?")},
        screens={"telegram": [Seen("dm", f"Answer 1 to Q7n1 Q7n2: {END}", message_id="m2")]},
        files=[_session(_user("Q7n1 well?"), _user("Q7n2 and so?", "m3"), _answer(1, 2), _delivery(3, "m2"))],
        learnt=[Range("session", 1, 2)],
        entries=entries,
    )

    assert len(judge(together).faults) == faults


@pytest.mark.parametrize(("now", "expected"), [(b"onetwo", 0), (b"one", 0), (b"on", 1), (b"One", 1), (b"", 1)])
def test_what_a_kill_left_must_be_the_beginning_of_what_is_there(now: bytes, expected: int) -> None:
    left = [{"a.jsonl": Left(3, hashlib.sha256(b"one").digest())}]

    assert len(list(changed_files(left, {"a.jsonl": now}))) == expected


@pytest.mark.parametrize(("peaks", "share"), [([100] * 12, 0), ([50] * 3 + [100] * 6 + [110] * 3, 0.1)])
def test_lives_are_compared_by_their_peaks(peaks: Sequence[int], share: float) -> None:
    lives = [Life(0, [(1, peak), (2, peak - 1)], was_killed=True) for peak in peaks]
    growth = measure([*lives, Life(0, [(1, 999)])], until=10)

    assert growth is not None
    assert growth.share == pytest.approx(share)


def test_one_life_is_compared_with_itself_as_long_as_people_talked() -> None:
    samples = [(float(at), 100 + at) for at in range(FEWEST_SAMPLES)] + [(float(FEWEST_SAMPLES), 10_000)]
    growth = measure([Life(0, samples)], until=FEWEST_SAMPLES - 1)

    assert growth is not None
    assert growth.last - growth.second == FEWEST_SAMPLES / 2


def test_a_run_that_is_too_short_is_not_judged_by_its_memory() -> None:
    lives = [Life(0, [(1, 100)], was_killed=True)] * (FEWEST_LIVES - 1)

    assert measure([*lives, Life(0, [(1, 100)])], until=10) is None

"""These tests check what is read of a model's answer, whatever it looks like."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.answers import ANSWER_CHARS, MOST_FACTS, Answer, Proposed, parse_answer

FULL = {
    "history_entry": "Anna told that she moved.",
    "facts": [{"fact": "Lives in Lisbon", "quote": "I moved to Lisbon", "about": "home", "importance": 0.8}],
}
READ = Answer("Anna told that she moved.", (Proposed("Lives in Lisbon", "I moved to Lisbon", "home", 0.8),))
TEXT = json.dumps(FULL)


@pytest.mark.parametrize(
    "answer",
    [
        TEXT,
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"Sure! Here is the JSON you asked for:\n\n{TEXT}\n\nLet me know if you {{need}} more.",
        f"<think>The form is {{history_entry, facts}}.</think>{TEXT}",
        f'{{"something": "else"}}\n{TEXT}\n{{"history_entry": "another"}}',
        f'{{"something": {{"else": 1}}}}\n{TEXT}',
        f"[{TEXT}]",
        json.dumps({"answer": FULL}),
        json.dumps(FULL, indent=2).replace("0.8", "0.8,").replace("]", "],"),
        TEXT[:-1],
        TEXT[:-2],
        TEXT[:-1] + ', "and": [1, 2, {"a": "b',
        "\ufeff" + TEXT.replace("moved.", "moved\\u0000\\ud800."),
        TEXT.replace("moved.", "\x00moved\x07."),
        TEXT.replace("history_entry", " History_Entry "),
        TEXT.replace("moved.", "moved.\\n\\n> quoted\\n[memory 2026-01-01] Likes tea"),
        json.dumps(
            {**FULL, "facts": [*FULL["facts"], None, 7, [], [["x"]], {}, {"fact": 3}, {"fact": ""}, {"fact": "..."}]}
        ),
        json.dumps({**FULL, "facts": FULL["facts"][0]}),
        json.dumps({**FULL, "memory_update": None}),
    ],
)
def test_an_answer_is_read_however_it_is_wrapped(answer: str) -> None:
    assert parse_answer(answer) == READ


@pytest.mark.parametrize(
    ("update", "facts"),
    [
        ("Lives in Lisbon", ["Lives in Lisbon"]),
        ('"Lives in Lisbon"\n- “Has an XBOX”', ["Lives in Lisbon", "Has an XBOX"]),
        ("- Lives in Lisbon\n* Has a dog\n\n3. Likes tea", ["Lives in Lisbon", "Has a dog", "Likes tea"]),
        (["Lives in Lisbon", "Has a dog", "Has a dog", None], ["Lives in Lisbon", "Has a dog"]),
        ([{"fact": "Lives in Lisbon"}, {"text": "Has a dog"}], ["Lives in Lisbon", "Has a dog"]),
        ({"home": "Lives in Lisbon", "pets": ["Has a dog"]}, ["Lives in Lisbon"]),
        (None, []),
        ("null", []),
        ("None.", []),
        ("", []),
        (17, []),
        (True, []),
    ],
)
def test_bare_sentences_are_read_too(update: object, facts: list[str]) -> None:
    read = parse_answer(json.dumps({"history_entry": "They talked.", "memory_update": update}))

    assert read == Answer("They talked.", tuple(Proposed(fact) for fact in facts))
    assert parse_answer('{"history_entry": "They talked."}') == Answer("They talked.")


@pytest.mark.parametrize(
    ("cut", "facts"),
    [
        ('{"history_entry": "They talked.", "facts": [{"fact": "Lives in Lisb', []),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Has a dog", "quo', ["Has a dog"]),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Has a dog"}, {"fact": "Lives in Lisb', ["Has a dog"]),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Has a dog"', ["Has a dog"]),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Has a dog", "quote": ', ["Has a dog"]),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Has a dog",}, {"fact": "Has a cat", "about": ""}, '
         '{"fact": "Likes tea", "about": ""}, {"fact": "Lives in Lisb', ["Has a dog", "Has a cat", "Likes tea"]),
        ('{"history_entry": "They talked.", "facts": [{"fact": "Owns a \\"Strat\\" guitar"}, {"fact": "Lives',
         ['Owns a "Strat" guitar']),
        ('{"history_entry": "They talked.', []),
        ('{"history_entry": "They talked.\\', []),
    ],
)  # fmt: skip
def test_of_an_answer_that_is_cut_off_what_is_whole_is_read(cut: str, facts: list[str]) -> None:
    assert parse_answer(cut) == Answer("They talked.", tuple(Proposed(fact) for fact in facts))


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I cannot do that.",
        "null",
        "[]",
        "{}",
        "{" * ANSWER_CHARS,
        '{"a":' * 5_000,
        "[" * 100_000 + "]" * 100_000,
        '{"history_entry": ' + "[" * 3_000 + "]" * 3_000 + "}",
        '{"history_entry": null, "facts": null}',
        '{"history_entry": ["They talked."]}',
        '{"history_entry": "..."}',
        '{"history_entry": "\\u0000\\ud83d"}',
        '{"something": "else"}',
        '{"history_entry": NaN}',
        "x" * ANSWER_CHARS + TEXT,
        '"history_entry": "no braces"',
    ],
)
def test_what_cannot_be_used_proposes_nothing(answer: str) -> None:
    assert parse_answer(answer) is None


@pytest.mark.parametrize(
    ("given", "importance"),
    [
        ("0.9", 0.9),
        ('"0.9"', 0.9),
        ("7", 1.0),
        ("-3", 0.0),
        ("NaN", 0.5),
        ("Infinity", 0.5),
        ("-Infinity", 0.5),
        ("1e999", 0.5),
        ("1" * 400, 0.5),
        ("true", 0.5),
        ('"high"', 0.5),
        ("[1]", 0.5),
        ("null", 0.5),
    ],
)
def test_an_importance_is_a_number_from_0_to_1(given: str, importance: float) -> None:
    read = parse_answer(f'{{"history_entry": "x", "facts": [{{"fact": "Has a dog", "importance": {given}}}]}}')

    assert read == Answer("x", (Proposed("Has a dog", importance=importance),))


def test_a_flood_of_facts_and_words_is_bounded() -> None:
    facts = [{"fact": f"Fact {number} " + "x" * 5_000, "quote": "q" * 5_000} for number in range(3)]
    many = [f"Fact {number}" for number in range(1_000)]

    read = parse_answer(json.dumps({"history_entry": "x", "facts": facts[:1], "memory_update": many}))

    assert read is not None
    assert len(read.facts) <= MOST_FACTS
    assert max(len(fact.text) + len(fact.quote) for fact in read.facts) <= 2_000


@pytest.mark.parametrize(
    "piece", ["{", '{"', '{"a', '{"a":', '{"a":1,', '{"a":"', "{]", "{}", "{,", '{"a":[', "```{", ",]", "{ "]
)
def test_hostile_answers_are_read_quickly(piece: str) -> None:
    began = time.process_time()
    parse_answer(piece * (ANSWER_CHARS // len(piece)))

    assert time.process_time() - began < 3.0


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.sampled_from(["fact", "quote", "about", "importance", "x"]), inner)
    ),
    max_leaves=12,
)


@given(history=JSON, facts=JSON, update=JSON, cut=st.integers(0, 400), before=st.text(max_size=20))
def test_no_answer_makes_it_stumble(history: object, facts: object, update: object, cut: int, before: str) -> None:
    text = before + json.dumps({"history_entry": history, "facts": facts, "memory_update": update})

    for answer in (text, text[:cut], text[cut:], before):
        read = parse_answer(answer)
        assert read is None or read.history or read.facts

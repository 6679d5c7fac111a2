"""These tests check inflected names, and clauses that are about somebody else."""

from __future__ import annotations

import pytest

from memory.carrying import is_name_carried, take_apart
from memory.others import is_about_another, named_relations


@pytest.mark.parametrize(
    ("name", "said", "carried"),
    [
        ("anna", "I met Anna", True),
        ("anna", "I met Annas brother", True),
        ("наталья", "Я видел Наталью", True),
        ("anna", "I met Anne", False),
        ("anna", "I met Annabella", False),
        ("наталья", "Я видел Натальевских", False),
        ("наталья", "Я видел Натана", False),
        ("美香", "昨日は美香さんと会った", True),
        ("mia", "I met Miaow", False),
        ("anna", "I met Annabel", False),
        ("emil", "Widziałem Emila", True),
        ("emil", "Byłem z Emilem", True),
        ("аня", "Мой сын Ваня", False),
        ("ян", "Я видел Яна", True),
    ],
)
def test_a_name_is_carried_with_an_ending_more_and_where_endings_change_with_another(
    name: str, said: str, carried: bool
) -> None:
    assert is_name_carried(name, take_apart(said)) is carried


@pytest.mark.parametrize(
    ("clause", "fact", "another"),
    [
        ("My husband lives in Berlin", "Lives in Berlin", True),
        ("My husband lives in Berlin", "Is married", False),
        ("My brother lives in Berlin", "Is married", True),
        ("My brother lives in Berlin", "Has a brother in Berlin", False),
        ("My brother and I live in Berlin", "Lives in Berlin", False),
        ("I live in Berlin", "Lives in Berlin", False),
    ],
)
def test_who_tells_of_somebody_else_tells_that_of_themselves_alone_which_follows(
    clause: str, fact: str, another: bool
) -> None:
    assert is_about_another(clause, fact) is another


@pytest.mark.parametrize(
    ("clause", "fact", "another"),
    [
        ("Anna lives in Lisbon now", "Lives in Lisbon", False),
        ("Peter lives in Lisbon now", "Lives in Lisbon", True),
        ("Peter lives in Lisbon now", "Peter lives in Lisbon", False),
    ],
)
def test_a_name_before_a_verb_is_somebody_elses_unless_the_author_or_the_fact_has_it(
    clause: str, fact: str, another: bool
) -> None:
    assert is_about_another(clause, fact, "Anna") is another


@pytest.mark.parametrize(
    ("fact", "relations"),
    [
        ("Older sister Eva lives in Oslo", ["sister"]),
        ("Has a step-mother and a best friend in Oslo", ["mother"]),
        ("Boss likes dogs", ["Boss"]),
        ("Is a doctor", []),
        ("Works as a teacher", []),
    ],
)
def test_a_relation_is_one_word_and_a_profession_is_one_only_where_a_fact_begins_with_it(
    fact: str, relations: list[str]
) -> None:
    assert list(named_relations(fact)) == relations

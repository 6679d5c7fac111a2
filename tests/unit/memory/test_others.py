"""These tests check inflected names, and clauses that are about somebody else."""

from __future__ import annotations

import pytest

from memory.carrying import is_name_carried, take_apart
from memory.others import is_about_another


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

from __future__ import annotations

import pytest

from agentd.admission.allowing import parse_allowed
from channels.base import Author

ADA = Author("42", "Ada", "Ada_L")


@pytest.mark.parametrize(
    "entries", [["42"], ["@Ada_L"], ["@ada_l"], ["@ADA_L"], ["*"], ["7", " 42 "], ["@x", "@ada_l"]]
)
def test_a_person_is_admitted_by_id_by_username_in_any_case_or_with_everyone(entries: list[str]) -> None:
    assert parse_allowed(entries).admits(ADA)


@pytest.mark.parametrize("entries", [[], ["4"], ["Ada"], ["ada_l"], ["@Ada"], ["@42"], ["@"], ["@*"], ["**"], [""]])
def test_nobody_is_admitted_by_anything_else(entries: list[str]) -> None:
    assert not parse_allowed(entries).admits(ADA)


def test_the_name_that_people_give_themselves_admits_nobody() -> None:
    allowed = parse_allowed(["@ada", "ada", "42"])

    assert not allowed.admits(Author("7", "ada"))
    assert not allowed.admits(Author("7", "@ada"))
    assert not allowed.admits(Author("7", "42", "42"))


def test_an_empty_username_is_nobodys() -> None:
    assert not parse_allowed(["@"]).admits(Author("7", "Ada", ""))


def test_the_star_is_no_id() -> None:
    assert not parse_allowed(["@star"]).admits(Author("*", "Star"))
    assert parse_allowed(["*"]).ids == frozenset()

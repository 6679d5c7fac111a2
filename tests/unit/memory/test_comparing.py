"""When two facts are one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory.comparing import Known, Verdict, compare
from memory.model import Deed


def deed(old: str, new: str) -> Deed:
    return compare(new, "", [Known(1, old)]).deed


@pytest.mark.parametrize(
    "facts",
    [
        ["Likes hiking in the mountains", "The user enjoys hiking in mountains", "Loves to hike in the mountains",
         "Mountain hiking is a hobby of theirs"],
        ["Works as a software engineer at Acme", "Employed by Acme as software engineer",
         "Job: software engineer, Acme", "Is a software engineer working for Acme Inc"],
        ["Lives in Berlin", "Based in Berlin", "Is living in Berlin", "Berlin is where the user resides"],
        ["Has two cats", "Owns 2 cats", "The user has two cats", "They have 2 cats"],
        ["Her sister's name is Eva", "Has a sister named Eva", "The sister is called Eva", "Sister: Eva"],
        ["Doesn't eat meat", "Does not eat meat", "Never eats meat", "No longer eats meat"],
        ["喜欢咖啡", "喜欢咖啡。", "喜欢咖啡！", "喜欢 咖啡"],
    ],
)  # fmt: skip
def test_four_wordings_of_one_fact_are_one_fact(facts: list[str]) -> None:
    assert [deed(old, new) for old in facts for new in facts] == [Deed.KNOWN] * 16


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Daughter Mia goes to school in Hamburg", "Daughter Lea goes to school in Hamburg"),
        ("Lives in Berlin", "Works in Berlin"),
        ("Allergic to peanuts", "Allergic to walnuts"),
        ("Likes coffee", "Hates tea"),
        ("Mother is called Anna", "Sister is called Anna"),
        ("Has a dog", "Walks along the river every morning with the dog before work"),
        ("Ünal is a friend", "Öner is a friend"),
    ],
)
def test_two_facts_are_two(one: str, other: str) -> None:
    assert (deed(one, other), deed(other, one)) in {(Deed.ADDED, Deed.ADDED), (Deed.ADDED, Deed.KNOWN)}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Has a dog", "Has a dog named Rex"),
        ("Allergic to peanuts", "Allergic to peanuts and eggs"),
        ("Works at Acme", "Works at Acme as a nurse"),
    ],
)
def test_what_says_more_refines_and_what_says_less_is_known(old: str, new: str) -> None:
    assert (deed(old, new), deed(new, old)) == (Deed.REFINED, Deed.KNOWN)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Has two cats", "Has three cats"),
        ("Is 34 years old", "Is 35 years old"),
        ("Likes olives", "Hates olives"),
        ("Likes olives", "Doesn't like olives any more"),
        ("Smokes", "Stopped smoking"),
        ("Prefers tea over coffee", "Prefers coffee over tea"),
    ],
)
def test_what_contradicts_takes_the_place(old: str, new: str) -> None:
    assert deed(old, new) is Deed.SUPERSEDED


def test_of_several_the_one_that_says_it_all_is_found() -> None:
    known = [Known(1, "Has a dog"), Known(2, "Has a dog named Rex"), Known(3, "Likes tea")]

    assert compare("Owns a dog called Rex", "", known) == Verdict(Deed.KNOWN, 2)


def test_where_only_one_can_be_true_the_last_one_gives_way() -> None:
    known = [Known(1, "Lives in Berlin", "home"), Known(2, "Rents in Rome", "home"), Known(3, "Likes tea")]

    assert compare("Moved to Oslo", "Home", known) == Verdict(Deed.SUPERSEDED, 2)
    assert compare("Moved to Oslo", "", known) == Verdict(Deed.ADDED)


@given(st.text(max_size=60))
def test_whatever_is_said_twice_is_known(text: str) -> None:
    assert compare(text, "", [Known(1, text)]) == Verdict(Deed.KNOWN, 1)

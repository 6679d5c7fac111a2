"""These tests check when two facts count as one."""

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
        ("Has a dog", "Is 34"),
        (
            "Plays the cello every Tuesday evening in an amateur orchestra near Graz",
            "Plays the cello every Tuesday evening in an amateur orchestra near Linz",
        ),
    ],
)
def test_two_facts_are_two(one: str, other: str) -> None:
    assert (deed(one, other), deed(other, one)) in {(Deed.ADDED, Deed.ADDED), (Deed.ADDED, Deed.KNOWN)}


def test_one_other_word_of_many_makes_no_other_fact_unless_it_is_a_name() -> None:
    one = "Plays the cello every Tuesday evening near school"
    other = "Plays the cello every Tuesday evening beside school"

    assert (deed(one, other), deed(other, one)) == (Deed.KNOWN, Deed.KNOWN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Prefers tea over coffee", "Likes tea and coffee"),
        ("Prefers black tea over coffee", "Prefers black tea over black coffee"),
    ],
)
def test_a_preference_is_contradicted_only_where_both_sides_change_places(one: str, other: str) -> None:
    assert (deed(one, other), deed(other, one)) == (Deed.KNOWN, Deed.KNOWN)


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
    homes = [Known(1, "Lives in Berlin", "home"), Known(2, "Rents in Rome", "home"), Known(4, "Flat in Graz", "home")]
    known = [*homes, Known(3, "Likes tea")]

    assert compare("Moved to Oslo", "Home", homes[:1]) == Verdict(Deed.SUPERSEDED, 1)
    assert compare("Moved to Oslo", "Home", known) == Verdict(Deed.SUPERSEDED, 4)
    assert compare("Moved to Oslo", "", known) == Verdict(Deed.ADDED)


@given(st.text(max_size=60))
def test_whatever_is_said_twice_is_known(text: str) -> None:
    assert compare(text, "", [Known(1, text)]) == Verdict(Deed.KNOWN, 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Is allergic to nuts", "Son is allergic to nuts"),
        ("Has diabetes", "Has a mother with diabetes"),
        ("Lives in Berlin", "Sister Eva lives in Berlin"),
        ("Lives in Berlin", "Tom lives in Berlin"),
        ("Works as a nurse", "Wife works as a nurse"),
        ("Is a doctor", "Brother is a doctor"),
        ("Likes dogs", "Boss does not like dogs"),
        ("Wohnt in Berlin", "Bruder wohnt in Berlin"),
        ("住在北京", "弟弟住在北京"),
        ("Visited Japan in 2019", "Visited Japan in 2024"),
        ("Lived in Paris in 2010", "Lived in Paris in 2020"),
        ("Has a 2012 Volvo", "Has a 2019 Volvo"),
        ("Son is allergic to nuts", "Son and wife are allergic to nuts"),
    ],
)
def test_what_is_told_of_two_people_or_of_two_years_is_two_facts(one: str, other: str) -> None:
    assert (deed(one, other), deed(other, one)) == (Deed.ADDED, Deed.ADDED)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Lives in Berlin", "Used to live in Berlin"),
        ("Works at Acme", "Worked at Acme until 2020"),
        ("Wants a dog", "Has a dog"),
        ("Plans to move to Oslo", "Moved to Oslo"),
        ("Has been vegan since 2019", "Has been vegan since 2020"),
        ("Has been vegan since 2019", "Has been vegan from 2020"),
        ("Wohnt nicht mehr in Berlin", "Wohnt in Berlin"),
        ("Ist kein Vegetarier", "Ist Vegetarier"),
        ("N'habite plus à Lyon", "Habite à Lyon"),
        ("Не живёт в Москве", "Живёт в Москве"),
    ],
)
def test_what_is_over_or_came_true_takes_the_place(old: str, new: str) -> None:
    assert deed(old, new) is Deed.SUPERSEDED


def test_what_they_have_stays_where_they_want_another() -> None:
    assert deed("Has a dog", "Wants a dog") is Deed.ADDED


@pytest.mark.parametrize(
    "text",
    ["Sister lives in Berlin", "Tom lives in Berlin", "Lived in Rome until 2019", "Wants to live in Paris",
     "Does not live in Graz"],
)  # fmt: skip
def test_where_others_live_or_they_do_not_is_not_where_they_do(text: str) -> None:
    assert compare(text, "home", [Known(1, "Lives in Oslo", "home")]) == Verdict(Deed.ADDED)


def test_what_others_are_gives_no_way_to_what_they_are() -> None:
    assert compare("Is 34 years old", "age", [Known(1, "Daughter is 5 years old", "age")]) == Verdict(Deed.ADDED)

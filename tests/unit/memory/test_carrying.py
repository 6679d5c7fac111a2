"""These tests check which numbers and names are read from a text: a fact may hold only those that were said."""

from __future__ import annotations

import pytest

from memory.carrying import names_of, numbers_of


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("三只猫", {"3"}),
        ("两个孩子", {"2"}),
        ("十个孩子", {"10"}),
        ("她十一岁", {"11"}),
        ("她有十二只猫", {"12"}),
        ("我有二十只猫", {"20"}),
        ("他三十九岁", {"39"}),
        ("一个孩子", set()),
        ("三心二意", set()),
        ("twelve cats and 3 dogs", {"12", "3"}),
        ("zwölf Katzen", {"12"}),
        ("1,200 books", {"1200"}),
        ("one cat", set()),
        ("1 cat", set()),
    ],
)
def test_numbers_are_read_as_digits_however_they_are_written(text: str, numbers: set[str]) -> None:
    assert numbers_of(text) == numbers


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("She likes Anna.", ["anna"]),
        ("Likes Anna", ["anna"]),
        ("Lives in Rome and Oslo", ["rome", "oslo"]),
        ("Anna has a dog", ["anna"]),
        ("Anna's dog", ["anna"]),
        ("Anna barks", []),
        ("“Anna” barks", []),
        ("Met Paul. Rex is a dog", ["paul", "rex"]),
        ("Met Paul. Rex barks", ["paul"]),
        ("Says: Rex barks", []),
        ("NATO barks", ["nato"]),
        ("A dog", []),
        ("The User likes Rex", ["rex"]),
        ("It is for The dog", []),
        ("User's dog is called Rex", ["rex"]),
        ("Hobby is chess", []),
        ("Utente è vegana", []),
    ],
)
def test_names_are_capitalised_words_inside_a_sentence_or_as_its_subject(text: str, names: list[str]) -> None:
    assert list(names_of(text)) == names

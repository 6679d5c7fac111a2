"""These tests check the search of files for removed texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory.store_sqlite import leftovers
from memory.store_sqlite.leftovers import can_be_searched, find_texts

TEXT = "the zeppelin landed at noon near the old lake"


def found_in(folder: Path, content: bytes, *texts: str, ids: tuple[str, ...] = ()) -> set[str]:
    (folder / "file").write_bytes(content)
    return find_texts([folder / "file", folder / "missing"], texts, ids).get("file", set())


@pytest.mark.parametrize("others", [0, 50])
@pytest.mark.parametrize("at", [0, 1, 900, 960, 1000, 1023, 1024, 3000])
def test_a_text_is_found_wherever_it_stands(
    at: int, others: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "_CHUNK", 1024)
    more = [f"number {number} of the others is not there at all" for number in range(others)]

    found = found_in(tmp_path, b"x" * at + b"Anna" + TEXT.encode() + b"y" * 2000, TEXT, *more)

    assert found == {TEXT}
    assert found_in(tmp_path, b"x" * at + TEXT.encode()[:-1] + b"y" * 2000, TEXT, *more) == set()


@pytest.mark.parametrize("others", [0, 50])
def test_a_long_text_that_lies_on_two_pages_is_found(others: int, tmp_path: Path) -> None:
    text = " ".join(f"word{number}" for number in range(400))
    more = [f"number {number} of the others is not there at all" for number in range(others)]

    assert found_in(tmp_path, text[:1000].encode() + b"\0" * 8 + text[1000:].encode(), text, *more) == {text}


@pytest.mark.parametrize(
    "text", ["昨天我去了北京烤鸭店吃饭", "어제 서울에서 김치찌개를 먹었다", "Вчера мы были на озере до вечера"]
)
def test_every_script_is_searched(text: str, tmp_path: Path) -> None:
    assert can_be_searched(text)
    assert found_in(tmp_path, f"daily{text}next".encode(), text) == {text}


def test_what_may_stand_anywhere_by_chance_is_not_searched(tmp_path: Path) -> None:
    assert not can_be_searched("a lamp")
    assert found_in(tmp_path, b"a lamp s1", "a lamp", ids=("s1",)) == set()


def test_an_id_is_found_as_a_whole(tmp_path: Path) -> None:
    assert found_in(tmp_path, b"dailytelegram:12", ids=("telegram:1",)) == set()
    assert found_in(tmp_path, b"dailytelegram:1\0", ids=("telegram:1",)) == {"telegram:1"}


@settings(deadline=None, max_examples=40)  # each example reads the file by another process
@given(texts=st.lists(st.text(min_size=1, max_size=60), max_size=30), there=st.sets(st.integers(0, 29)))
def test_what_can_be_searched_is_found_where_it_is(
    texts: list[str], there: set[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    kept = [text for number, text in enumerate(texts) if number in there]
    content = "\0".join(kept).encode("utf-8", "backslashreplace")

    found = found_in(tmp_path_factory.getbasetemp(), content, *texts)

    assert found >= {text for text in kept if can_be_searched(text)}

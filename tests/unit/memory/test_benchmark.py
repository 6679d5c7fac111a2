"""These tests check the retriever for benchmarks: the daemon's store and recall behind two calls."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import pytest

from memory.benchmark import LocomoRetriever
from tests.unit.memory.test_minilm import NEEDED


@dataclass(frozen=True, slots=True)
class Said:
    """A turn."""

    id: str
    speaker: str
    date: str
    text: str


TURNS = [
    Said("D1:1", "Anna", "1:56 pm on 8 May, 2023", "My daughter has begun to play the cello"),
    Said("D1:2", "Bob", "1:57 pm on 8 May, 2023", "We had pizza for lunch"),
    Said("D2:1", "Anna", "9:00 am on 20 June, 2023", "The garden is full of tulips"),
]


@pytest.mark.parametrize("embeddings", [False, pytest.param(True, marks=NEEDED)])
def test_turns_are_found_by_their_ids_and_nothing_is_left_behind(embeddings: bool) -> None:
    before = set(threading.enumerate())
    retriever = LocomoRetriever(embeddings)
    retriever.index([TURNS[1]])
    retriever.index(TURNS)
    found = retriever.search("Who plays the cello?", 2)
    meant = retriever.search("string instrument", 2)
    retriever.close()

    assert found[0] == "D1:1"
    assert meant[:1] == (["D1:1"] if embeddings else [])
    assert set(threading.enumerate()) <= before

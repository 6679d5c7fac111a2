"""These tests try to reach another person's memories, and private ones, by every method of every memory store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memory.model import Memory, Reserve
from memory.ports import MemoryStore
from tests.contract.memory_stands import ANNA, BOB, NOW, Opening, daily, facts, opening, postgres, said, who

__all__ = ["opening", "postgres"]

SECRET = "Anna keeps the spare key under the third flowerpot"
PUBLIC = "Anna waters the flowerpot of the office"
ALL = Reserve(entries=100, entry_chars=1000, total_chars=100_000)


@pytest.fixture
async def store(opening: Opening, tmp_path: Path) -> AsyncIterator[MemoryStore]:
    async with opening(tmp_path) as opened:
        await opened.learn(daily(said(0, SECRET)))
        await opened.learn(facts(said(1, "the flowerpot with the key again"), "Has a flowerpot with a key"))
        await opened.learn(daily(said(0, PUBLIC, direct=False)))
        yield opened


async def reached(store: MemoryStore, *senders: str, direct: bool = True) -> set[str]:
    """Everything that somebody gets to see there by any means."""
    asking = who(*senders, direct=direct)
    recalled = await store.recall(asking, "key flowerpot Anna", ALL)
    listed = await store.listed(asking, None, 100)
    found = [await store.why(asking, entry) for entry in await store.search(asking, "flowerpot", 100)]
    guessed = [await store.why(asking, entry) for entry in range(20)]
    seen: list[Memory] = [memory for memory in (*listed, *found, *guessed) if memory is not None]
    return {entry.text for entry in recalled} | {memory.text for memory in seen}


@pytest.mark.parametrize(
    "senders",
    [
        (BOB,),
        (),
        ("telegram:11",),
        ("telegram:",),
        ("discord:1",),
        ("%",),
        ("telegram:1 ",),
        ("telegram:1\0",),
        ("telegram:1\0a",),
    ],
)
async def test_nobody_reaches_what_is_known_of_another(store: MemoryStore, senders: tuple[str, ...]) -> None:
    await store.learn(daily(said(0, "Bob has a flowerpot too", BOB)))
    own = {"Bob has a flowerpot too"} if BOB in senders else set()

    assert await reached(store, *senders) == own
    assert {memory.text for memory in await store.export(frozenset(senders))} == own


async def test_what_was_said_in_private_is_not_seen_where_others_read_along(store: MemoryStore) -> None:
    in_group = await reached(store, ANNA, direct=False)
    in_private = await reached(store, ANNA)

    assert in_group == {PUBLIC}
    assert in_private == {PUBLIC, SECRET, "Has a flowerpot with a key"}


async def test_nobody_forgets_for_another_or_in_front_of_others(store: MemoryStore) -> None:
    ids = [memory.id for memory in await store.listed(who(ANNA), None, 10)]
    public = [memory.id for memory in await store.listed(who(ANNA, direct=False), None, 10)]

    by_bob = [await store.forget(who(BOB), entry) for entry in ids]
    in_group = [await store.forget(who(ANNA, direct=False), entry) for entry in ids if entry not in public]

    assert not any((*by_bob, *in_group))
    assert len(await store.export(frozenset({ANNA}))) == 3


async def test_linked_senders_are_one_person(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "Anna bought seeds", "discord:7")))

    assert await reached(store, ANNA, "discord:7") == {
        PUBLIC, SECRET, "Has a flowerpot with a key", "Anna bought seeds",
    }  # fmt: skip


async def test_a_fact_from_a_group_is_known_there_though_it_was_said_in_private_before(store: MemoryStore) -> None:
    await store.learn(facts(said(2, "I am vegan, and hide it"), "Is vegan, and hides it"))
    await store.learn(facts(said(1, "I am vegan", direct=False), "Is vegan"))

    assert "Is vegan" in await reached(store, ANNA, direct=False)
    assert "Is vegan, and hides it" not in await reached(store, ANNA, direct=False)


async def test_another_person_in_the_session_changes_nothing_in_what_is_found(store: MemoryStore) -> None:
    await store.learn(daily(said(5, "Bob is allergic to wasps", BOB, session="room", direct=False)))
    await store.learn(daily(said(6, "Anna nodded", session="room", direct=False)))

    assert await store.search(who(ANNA), "wasps", 10) == ()


async def test_erasing_takes_all_of_one_person_and_nothing_of_others(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "Bob has a flowerpot too", BOB)))

    erased = await store.erase(frozenset({ANNA}))

    assert (erased.entries, erased.evidence, erased.remaining) == (3, 1, ())
    assert await reached(store, ANNA) == set()
    assert await reached(store, BOB) == {"Bob has a flowerpot too"}
    assert await store.watermark(ANNA, "") is None
    assert await store.watermark(BOB, "") == 0


async def test_an_export_has_everything_also_what_no_longer_holds(store: MemoryStore) -> None:
    await store.learn(facts(said(2, "the flowerpot has the key and a note"), "Has a flowerpot with a key and a note"))

    exported = await store.export(frozenset({ANNA}))

    assert [(memory.text, memory.superseded_at) for memory in exported] == [
        (SECRET, None),
        ("Has a flowerpot with a key", NOW),
        (PUBLIC, None),
        ("Has a flowerpot with a key and a note", None),
    ]
    assert exported[1].evidence[0].quote == "the flowerpot with the key again"


PEOPLE = st.sampled_from(["a", "b", "c"])


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entries=st.lists(st.tuples(PEOPLE, st.booleans()), max_size=12), asking=st.sets(PEOPLE), direct=st.booleans())
async def test_whoever_asks_sees_exactly_their_own(
    opening: Opening,
    entries: list[tuple[str, bool]],
    asking: set[str],
    direct: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    async with opening(tmp_path_factory.mktemp("m")) as opened:
        for seq, (person, private) in enumerate(entries):
            await opened.learn(daily(said(seq, f"word {seq}", person, direct=private)))

        found = await opened.search(who(*asking, direct=direct), "word", 100)
        texts = {memory.text for memory in await opened.listed(who(*asking, direct=direct), None, 100)}

        assert len(found) == len(texts)
        assert texts == {
            f"word {n}" for n, (p, private) in enumerate(entries) if p in asking and (direct or not private)
        }


async def test_whoever_runs_the_daemon_can_ask_of_whom_something_is_known(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "Bob has a flowerpot too", BOB)))
    both = await store.people()
    for memory in await store.export(frozenset({ANNA})):
        await store.forget(who(ANNA), memory.id)

    assert both == (ANNA, BOB)
    assert await store.people() == (BOB,)

"""These tests try to reach another person's memories through every command of the chat and the command line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentd.errors import AgentdError
from agentd.service.memory_answering import MemoryAnswering
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Source
from channels.base import Address
from memory.model import Reserve, Who
from memory.ports import MemoryStore
from memory.store_memory import InMemoryMemory
from tests.contract.memory_stands import NOW, in_memory, in_sqlite
from tests.flow.remembering import (
    DM,
    GROUP,
    THREAD,
    Asking,
    House,
    exchange,
    is_private,
    learn_day,
    learn_fact,
    open_house,
)

SECRET = "I keep the spare key under the flowerpot"
DAY = "We talked about the flowerpot and the key"
PUBLIC = "I water the flowerpot of the office"
WORDS = "flowerpot key office water spare"
ENTRIES = 4
"""So many are Ada's."""

PLACES = {"in private": DM, "in a group": GROUP, "in a thread": THREAD}
STRANGERS = (
    "bob", "ADA", "Ada", "ada ", " ada", "ada\u200b", "\u0430da", "ad", "adaa", "ada2", "%", "_da", "a%", "*", "",
    "fake:ada", "ada:ada", "ada~", "ada/../ada", '"ada"', "ada', 'ada", '["fake:ada"]', "ada\x00", "ada\n",
)  # fmt: skip
"""None of them is `ada`."""


@pytest.fixture(params=[in_sqlite, in_memory])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, request.param) as opened:
        await learn_fact(opened.store, exchange(SECRET))
        await learn_day(opened.store, exchange(DAY, seq=1))
        await learn_fact(opened.store, exchange(PUBLIC, place=GROUP))
        await learn_fact(opened.store, exchange("My grandmother painted that blue flowerpot", place=THREAD))
        yield opened


def commands() -> list[str]:
    """Return every way to ask, with every id guessed."""
    guessed = range(1, ENTRIES + 3)
    asks = ["/memory", "/memory 2", f"/memory search {WORDS}", "/memory search %", '/memory search "flowerpot" OR *']
    asks += [f"/memory why {number}" for number in guessed]
    return [*asks, *(f"/forget {number}" for number in guessed), f"/forget {' '.join(map(str, guessed))}"]


async def tried(run: Asking, sender: str, place: Address) -> list[str]:
    """Let somebody try all of it; return what was shown."""
    return [await run.ask(text, sender, place) for text in commands()]


def leaks(shown: list[str]) -> list[str]:
    """Return the answers that hold something of what is known of Ada."""
    return [text for text in shown if re.search("flowerpot|spare key|water", text)]


@pytest.mark.parametrize("scope", ["sender", "chat"])
@pytest.mark.parametrize("place", PLACES)
async def test_nobody_else_sees_or_removes_what_is_known_of_a_person(house: House, place: str, scope: str) -> None:
    before = await house.store.export(frozenset({"fake:ada"}))
    async with house.run(scope=scope) as run:
        shown = await tried(run, "bob", PLACES[place])

    assert leaks(shown) == []
    assert not any("forgotten #" in text for text in shown)
    assert await house.store.export(frozenset({"fake:ada"})) == before
    assert len(before) == ENTRIES


@pytest.mark.parametrize("sender", STRANGERS)
async def test_an_id_that_looks_like_hers_is_somebody_else(house: House, sender: str) -> None:
    before = await house.store.export(frozenset({"fake:ada"}))
    async with house.run() as run:
        shown = [text for place in (DM, GROUP) for text in await tried(run, sender, place)]

    assert leaks(shown) == []
    assert await house.store.export(frozenset({"fake:ada"})) == before


async def test_whether_an_id_is_anothers_or_nobodys_cannot_be_told(house: House) -> None:
    async with house.run() as run:
        answers = {
            verb: {(await run.ask(f"/{verb} {number}", "bob")).replace(f"#{number}", "#N") for number in (1, 2, 3, 99)}
            for verb in ("memory why", "forget")
        }

    assert {verb: len(said) for verb, said in answers.items()} == {"memory why": 1, "forget": 1}


async def test_keeping_what_another_keeps_tells_nothing_of_it_and_changes_nothing_in_it(house: House) -> None:
    before = await house.store.export(frozenset({"fake:ada"}))
    async with house.run(scope="chat") as run:
        answers = [
            await run.ask(f"/remember {text}", "bob", place) for place in (DM, GROUP) for text in (SECRET, PUBLIC)
        ]

    assert all(answer.startswith("I remember that, as #") for answer in answers)
    assert await house.store.export(frozenset({"fake:ada"})) == before


@pytest.mark.parametrize("scope", ["sender", "chat"])
@pytest.mark.parametrize("place", [GROUP, THREAD])
async def test_her_own_private_entries_are_not_shown_or_removed_where_others_read(
    house: House, place: Address, scope: str
) -> None:
    async with house.run(scope=scope) as run:
        shown = [await run.ask(text, "ada", place) for text in commands() if not text.startswith("/forget")]
        await run.ask("/forget 1 2", "ada", place)

    left = await house.store.export(frozenset({"fake:ada"}))
    assert not any("spare key" in text or DAY in text for text in shown)
    assert any(PUBLIC in text for text in shown)
    assert [entry.text for entry in left if entry.direct] == [SECRET, DAY]


async def test_in_a_session_that_a_chat_shares_each_asker_sees_their_own(house: House) -> None:
    await learn_fact(house.store, exchange("I paint doors", "bob", place=GROUP))
    async with house.run(scope="chat") as run:
        hers, his = await run.ask("/memory", "ada", GROUP), await run.ask("/memory", "bob", GROUP)

    assert ("doors" in hers, "flowerpot" in hers) == (False, True)
    assert ("doors" in his, "flowerpot" in his) == (True, False)


def test_a_command_of_which_it_is_not_on_record_whether_others_read_it_is_no_private_one(tmp_path: Path) -> None:
    house = House(tmp_path, InMemoryMemory(lambda: NOW))

    asked = house.remembrance().who(
        SessionKey("fake", "bot", "dm", None, "ada"),
        Source(chat="dm", message_id="1", sent_at="", author=Author(id="ada")),
    )

    assert asked == Who(frozenset({"fake:ada"}), direct=False)


async def reached(store: MemoryStore, who: Who) -> list[str]:
    """Return what every public call of the store lets somebody see."""
    listed = await store.listed(who, None, 100)
    found = await store.recall(who, WORDS, Reserve(100, 1000, 100_000))
    guessed = [await store.why(who, number) for number in (*range(10), *(await store.search(who, WORDS, 100)))]
    exported = await store.export(who.senders) if who.direct else ()
    seen = [entry for entry in (*listed, *guessed, *exported) if entry is not None]
    return [entry.text for entry in seen] + [entry.text for entry in found]


@pytest.mark.parametrize("direct", [True, False])
async def test_no_call_of_the_store_lets_another_see_change_or_remove_it(house: House, direct: bool) -> None:
    before = await house.store.export(frozenset({"fake:ada"}))
    strangers = [f"fake:{sender}" for sender in STRANGERS] + ["other:ada", "ada", "fake", ":ada", "fake:ada:", ""]
    for stranger in strangers:
        who = Who(frozenset({stranger}), direct)

        assert await reached(house.store, who) == [], stranger
        assert not any([await house.store.forget(who, number) for number in range(10)]), stranger
        assert (await house.store.erase(who.senders)).entries == 0, stranger
    everybody = Who(frozenset(strangers), direct)
    assert await reached(house.store, everybody) == []
    assert await house.store.export(frozenset({"fake:ada"})) == before


async def test_the_operator_who_names_a_person_is_shown_that_one_alone(house: House) -> None:
    await learn_fact(house.store, exchange("I have a flowerpot of my own", "bob"))
    answering = MemoryAnswering(house.store, lambda person: frozenset({person}))

    async def lines(command: str, **more: object) -> list[str]:
        return [line async for line in answering.answer({"command": command, "person": "fake:bob", **more})]

    [listed], [found] = await lines("memory list"), await lines("memory search", words=WORDS)
    for number in range(1, ENTRIES + 1):
        for command in ("memory why", "memory forget"):
            with pytest.raises(AgentdError, match=f"there is no such entry {number}"):
                await lines(command, id=number)

    assert listed == found
    assert "of my own" in listed
    assert len(await house.store.export(frozenset({"fake:ada"}))) == ENTRIES


PEOPLE = ("ada", "bob", "ada ", "%")
DEEDS = st.tuples(
    st.sampled_from(PEOPLE),
    st.sampled_from(["dm", "group", "thread"]),
    st.sampled_from(["remember", "memory", "memory 2", "memory search", "memory why", "forget", "other session"]),
    st.integers(1, 30),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(deeds=st.lists(DEEDS, min_size=3, max_size=25), scope=st.sampled_from(["sender", "chat"]))
async def test_whatever_people_do_they_see_their_own_and_in_company_nothing_private(
    deeds: list[tuple[str, str, str, int]], scope: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    async with House(folder, InMemoryMemory(lambda: NOW)).run(scope=scope) as run:
        for count, (sender, where, deed, number) in enumerate(deeds):
            person = PEOPLE.index(sender)
            place = Address("fake", "bot", f"dm{person}") if where == "dm" else PLACES[f"in a {where}"]
            if deed == "other session":
                place = replace(place, account="another")
            mark = f"mark{person}{'private' if is_private(place) else 'open'}{count}"
            text = {
                "remember": f"/remember this is {mark} and no other",
                "memory search": "/memory search this is and no other mark",
                "memory why": f"/memory why {number}",
                "forget": f"/forget {number}",
                "other session": f"/remember elsewhere is {mark}",
            }.get(deed, f"/{deed}")
            shown = await run.ask(text, sender, place)

            for owner, kind in re.findall(r"mark(\d)(private|open)", shown):
                assert int(owner) == person, shown
                assert kind == "open" or is_private(place), shown


async def test_commands_of_many_at_once_are_answered_each_with_their_own(house: House) -> None:
    people = [f"p{number}" for number in range(20)]
    async with house.run(scope="chat") as run:
        for person in people:
            await learn_fact(house.store, exchange(f"my word is word{person}x", person, place=GROUP))
        places = [replace(GROUP, chat=f"group{person}") for person in people]
        async with asyncio.TaskGroup() as tasks:
            for person, place in zip(people, places, strict=True):
                tasks.create_task(run.ask("/memory", person, place))
        texts = run.stage.channel.texts

    found = [set(re.findall(r"word(p\d+)x", text)) for text in texts]
    assert sorted(found, key=str) == sorted(({person} for person in people), key=str)

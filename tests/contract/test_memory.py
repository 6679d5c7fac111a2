"""These tests check what every memory store promises about learning, for both databases and the one in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory.model import Daily, Deed, Evidence, Fact, Kind, Lesson, Reserve, Words
from memory.ports import MemoryStore
from tests.contract.memory_stands import ANNA, NOW, daily, facts, learn_facts, opening, postgres, said, store, who

__all__ = ["opening", "postgres", "store"]


async def test_what_was_learnt_is_listed_newest_first_and_recalled(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "Anna bought a red bicycle in Lisbon")))
    await store.learn(daily(said(1, "Anna baked bread with her sister")))

    listed = await store.listed(who(ANNA), None, 10)
    recalled = await store.recall(who(ANNA), "What did I buy in Lisbon?", Reserve())

    assert [(entry.text, entry.kind, entry.person) for entry in listed] == [
        ("Anna baked bread with her sister", Kind.DAILY, ANNA),
        ("Anna bought a red bicycle in Lisbon", Kind.DAILY, ANNA),
    ]
    assert recalled[0].text == "Anna bought a red bicycle in Lisbon"
    assert recalled[0].happened == NOW


async def test_a_list_goes_on_where_its_page_ended(store: MemoryStore) -> None:
    for seq in range(5):
        await store.learn(daily(said(seq, f"number {seq}")))

    first = await store.listed(who(ANNA), None, 2)
    second = await store.listed(who(ANNA), first[-1].id, 2)

    assert [entry.text for entry in (*first, *second)] == ["number 4", "number 3", "number 2", "number 1"]


async def test_learning_a_range_twice_has_the_effect_of_once(store: MemoryStore) -> None:
    lesson = Lesson(
        said(3, "I moved to Lisbon"),
        Daily("Anna moved", NOW),
        (Fact("Lives in Lisbon", (Evidence(ANNA, 3, "moved to Lisbon"),)),),
    )

    once = await store.learn(lesson)
    twice = await store.learn(lesson)

    assert once.done
    assert (twice.done, twice.changes) == (False, ())
    assert len(await store.listed(who(ANNA), None, 10)) == 2
    assert await store.watermark(ANNA, "") == 3
    assert await store.knows(lesson.exchange)


async def test_a_range_of_which_a_part_was_learnt_has_no_effect(store: MemoryStore) -> None:
    await store.learn(daily(said(4, "the first part")))

    both = replace(said(6, "both parts"), first=3)
    learnt = await store.learn(daily(both))

    assert not learnt.done
    assert await store.knows(both)
    assert len(await store.listed(who(ANNA), None, 10)) == 1


async def test_what_somebody_asks_to_keep_leaves_the_turns_before_it_to_be_learnt_from(store: MemoryStore) -> None:
    kept = await store.learn(replace(facts(said(9, "I am vegan"), "Is vegan"), is_range=False))
    again = await store.learn(replace(facts(said(9, "I am vegan"), "Is vegan"), is_range=False))
    before = await store.learn(daily(said(2, "We talked about trains")))

    assert kept.changes[0].deed is Deed.ADDED
    assert again.changes[0].deed is Deed.KNOWN
    assert before.done
    assert await store.watermark(ANNA, "") == 2


async def test_an_earlier_range_that_was_given_up_can_still_be_learnt_from(store: MemoryStore) -> None:
    await store.learn(daily(said(6, "the later one")))

    earlier = await store.learn(daily(said(4, "the earlier one")))
    again = await store.learn(daily(said(4, "the earlier one")))

    assert (earlier.done, again.done) == (True, False)
    assert await store.watermark(ANNA, "") == 6


async def test_a_session_that_was_begun_anew_has_other_messages_under_the_same_numbers(store: MemoryStore) -> None:
    await store.learn(daily(said(4, "of the first file")))

    other = daily(replace(said(4, "of the second file"), began="2026-02-02"))

    assert not await store.knows(other.exchange)
    assert (await store.learn(other)).done
    assert await store.watermark(ANNA, "2026-02-02") == 4


async def test_people_of_one_session_are_learnt_from_each_by_themselves(store: MemoryStore) -> None:
    await store.learn(daily(said(5, "from Anna", session="room", direct=False)))

    other = await store.learn(daily(said(5, "from Bob", "telegram:2", session="room", direct=False)))

    assert other.done
    assert await store.watermark("room", "") == 5


async def test_four_wordings_of_a_fact_are_one_fact_with_the_evidence_of_all(store: MemoryStore) -> None:
    await learn_facts(
        store,
        [
            "I like hiking in the mountains",
            "User enjoys hiking in mountains",
            "They love to hike in the mountains",
            "Mountain hiking is a hobby of mine",
        ],
    )

    [fact] = await store.listed(who(ANNA), None, 10)

    assert fact.text == "I like hiking in the mountains"
    assert [given.seq for given in fact.evidence] == [0, 1, 2, 3]


async def test_a_fact_that_says_more_takes_the_place_of_the_shorter_one(store: MemoryStore) -> None:
    await store.learn(facts(said(0, "my allergy to peanuts"), "Allergic to peanuts"))

    learnt = await store.learn(facts(said(1, "allergic to peanuts, and eggs now"), "Allergic to peanuts and eggs"))

    newest, oldest = await store.listed(who(ANNA), None, 10)
    assert learnt.changes[0].deed is Deed.REFINED
    assert (oldest.superseded_at, oldest.superseded_by) == (NOW, newest.id)
    assert (newest.replaced, oldest.replaced) == ((oldest.id,), ())
    assert newest.superseded_at is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Has two cats", "Has three cats"),
        ("Likes olives", "Does not like olives"),
        ("Prefers tea over coffee", "Prefers coffee over tea"),
    ],
)
async def test_a_fact_that_contradicts_takes_the_place_of_the_old_one_which_stays_marked(
    store: MemoryStore, old: str, new: str
) -> None:
    await learn_facts(store, [old, new])

    entries = await store.listed(who(ANNA), None, 10)
    found = await store.recall(who(ANNA), old, Reserve())

    assert [(entry.text, entry.superseded_at) for entry in entries] == [(new, None), (old, NOW)]
    assert [entry.text for entry in found] == [new]


async def test_of_what_only_one_can_be_true_the_new_one_holds(store: MemoryStore) -> None:
    await store.learn(facts(said(0, "I live in Berlin"), "Lives in Berlin", about="home"))

    learnt = await store.learn(facts(said(1, "I moved to Munich"), "Moved to Munich", about="Home"))

    assert learnt.changes[0].deed is Deed.SUPERSEDED
    assert [entry.text for entry in await store.recall(who(ANNA), "Berlin Munich", Reserve())] == ["Moved to Munich"]


async def test_facts_of_one_exchange_are_compared_with_each_other(store: MemoryStore) -> None:
    learnt = await store.learn(facts(said(0, "my dog Rex"), "Has a dog", "Owns a dog", "Has a dog named Rex"))

    assert [change.deed for change in learnt.changes] == [Deed.ADDED, Deed.KNOWN, Deed.REFINED]


async def test_a_fact_that_the_person_never_said_is_not_kept(store: MemoryStore) -> None:
    exchange = replace(said(1, "What should I eat tonight?"), answered="You love sushi, as you told me.")
    for quote, seq, session in [
        ("You love sushi", 1, ANNA),
        ("eat tonight", 2, ANNA),
        ("eat", 1, "other"),
        ("", 1, ANNA),
    ]:
        fact = Fact("Loves sushi", (Evidence(session, seq, quote),))
        learnt = await store.learn(Lesson(exchange, None, (fact,), is_range=False))

        assert [(change.deed, change.entry) for change in learnt.changes] == [(Deed.UNFOUNDED, None)]
    assert await store.listed(who(ANNA), None, 10) == ()


@pytest.mark.parametrize("text", ["Lives in Porto", "Has three cats", "Works in Lisbon", "Does not live in Lisbon"])
async def test_a_fact_that_says_something_else_than_its_quote_is_not_kept(store: MemoryStore, text: str) -> None:
    exchange = said(1, "I moved to Lisbon with two cats")

    learnt = await store.learn(facts(exchange, text, "Lives in Lisbon", "Has two cats"))

    assert [change.deed for change in learnt.changes] == [Deed.UNFOUNDED, Deed.ADDED, Deed.ADDED]


async def test_why_shows_the_words_that_a_fact_stands_on(store: MemoryStore) -> None:
    words = (Words(1, NOW, "so, I am   a nurse\nin Porto"), Words(2, NOW, "and tired"))
    exchange = replace(said(2, ""), first=1, said=words)
    fact = Fact("Works as a nurse in Porto", (Evidence(ANNA, 1, "a Nurse in Porto"), Evidence(ANNA, 2, "not said")))
    learnt = await store.learn(Lesson(exchange, None, (fact,)))
    assert learnt.changes[0].entry is not None

    memory = await store.why(who(ANNA), learnt.changes[0].entry)

    assert memory is not None
    assert memory.evidence == (Evidence(ANNA, 1, "a Nurse in Porto"),)
    assert (memory.session, memory.first, memory.last) == (ANNA, 1, 2)


async def test_what_was_forgotten_is_nowhere_and_learning_the_range_again_does_not_bring_it_back(
    store: MemoryStore,
) -> None:
    lesson = facts(said(0, "I was fired from Initech"), "Was fired from Initech")
    [change] = (await store.learn(lesson)).changes
    assert change.entry is not None

    assert await store.forget(who(ANNA), change.entry)
    await store.learn(lesson)

    assert not await store.forget(who(ANNA), change.entry)
    assert await store.why(who(ANNA), change.entry) is None
    assert await store.recall(who(ANNA), "Initech", Reserve()) == ()
    assert await store.export(frozenset({ANNA})) == ()


async def test_when_the_newer_fact_is_forgotten_the_old_one_stays_superseded(store: MemoryStore) -> None:
    await learn_facts(store, ["Has two cats", "Has three cats"])
    newest, _ = await store.listed(who(ANNA), None, 10)

    await store.forget(who(ANNA), newest.id)

    [left] = await store.listed(who(ANNA), None, 10)
    assert (left.text, left.superseded_at, left.superseded_by) == ("Has two cats", NOW, None)
    assert await store.recall(who(ANNA), "cats", Reserve()) == ()


async def test_recall_keeps_to_its_limits_and_cuts_no_character(store: MemoryStore) -> None:
    for seq in range(8):
        await store.learn(daily(said(seq, f"😀 trip {seq} " + "mountain lake 山 " * 200)))

    few = await store.recall(who(ANNA), "mountain", Reserve(entries=4, entry_chars=800, total_chars=4000))
    short = await store.recall(who(ANNA), "mountain", Reserve(entries=4, entry_chars=800, total_chars=1000))

    assert [len(entry.text) <= 800 for entry in few] == [True] * 4
    assert sum(len(entry.text) for entry in short) <= 1000
    assert all(entry.text.encode().decode() == entry.text and entry.text.endswith("…") for entry in few)


async def test_text_that_is_no_character_is_taken_in(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "half a surrogate \ud800 in the garden")))

    assert len(await store.recall(who(ANNA), "garden \ud800", Reserve())) == 1


async def test_nul_is_taken_in_as_evidence_too(store: MemoryStore) -> None:
    learnt = await store.learn(facts(said(0, "my cat \0 sleeps"), "Has a cat \0"))
    [fact] = await store.listed(who(ANNA), None, 10)

    assert learnt.changes[0].deed is Deed.ADDED
    assert fact.text.startswith("Has a cat")
    assert fact.evidence[0].quote.endswith("sleeps")
    assert len(await store.recall(who(ANNA), "cat \0", Reserve())) == 1


@pytest.mark.parametrize("question", ['"', "a AND", "NOT", "body:x OR *", "(", "^x", "", "💥", "NEAR(a b)", "' --"])
async def test_no_question_is_taken_for_an_operator(store: MemoryStore, question: str) -> None:
    await store.learn(daily(said(0, "quiet words")))

    assert await store.recall(who(ANNA), question, Reserve()) == ()


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("昨天我去了北京烤鸭店吃饭", "烤鸭好吃吗"),
        ("昨日、東京でラーメンを食べた", "ラーメンはどこ？"),
        ("어제 서울에서 김치찌개를 먹었다", "김치찌개 어디서?"),
        ("Ich war im Café Müller", "muller cafe"),
        ("The ＦＵＬＬ width", "full"),
    ],
)
async def test_words_are_found_in_every_script(store: MemoryStore, text: str, question: str) -> None:
    await store.learn(daily(said(0, "Something else altogether")))
    await store.learn(daily(said(1, text)))

    assert (await store.recall(who(ANNA), question, Reserve()))[0].text == text


async def test_a_date_is_found_by_its_words(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "went to the dentist", days=20)))
    await store.learn(daily(said(1, "went to the dentist again")))

    assert (await store.recall(who(ANNA), "what was in February 2026?", Reserve()))[0].text == "went to the dentist"


async def test_a_page_is_recalled_once_however_often_it_was_said(store: MemoryStore) -> None:
    for seq in range(3):
        await store.learn(daily(said(seq, "The lamp is green")))

    assert len(await store.recall(who(ANNA), "lamp", Reserve())) == 1


async def test_vectors_are_asked_for_once_and_dropped_with_their_entry(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "one")))
    await store.learn(daily(said(1, "two")))
    wanted = await store.without_vector("model", 10)
    await store.forget(who(ANNA), wanted[1][0])

    await store.keep_vectors("model", [(entry, b"\0" * 8) for entry, _ in wanted])

    assert [text for _, text in wanted] == ["Anna: one", "Anna: two"]
    assert await store.without_vector("model", 10) == ()
    assert len(await store.without_vector("another", 10)) == 1


async def test_an_entry_has_the_vector_of_one_model_and_an_empty_one_is_not_asked_for_again(store: MemoryStore) -> None:
    await store.learn(daily(said(0, "one")))
    [(entry, _)] = await store.without_vector("old", 10)

    await store.keep_vectors("old", [(entry, b"\0" * 8)])
    old = await store.without_vector("new", 10)
    await store.keep_vectors("new", [(entry, b"")])

    assert [number for number, _ in old] == [entry]
    assert await store.without_vector("new", 10) == ()
    assert [number for number, _ in await store.without_vector("old", 10)] == [entry]

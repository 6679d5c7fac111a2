"""These tests check memory in the chat: people see what is known about them and why, add to it, and remove it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from channels.discord.dialect import write_markdown
from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, RichText
from channels.slack.writing import to_markdown
from memory.errors import MemoryUnusable
from memory.learning import MOST_FACT_CHARS
from memory.model import LearnOutcome, Lesson, Memory, Who
from memory.store_memory import InMemoryMemory
from tests.contract.memory_stands import NOW, in_memory, in_sqlite
from tests.fakes.channel import FakeChannel
from tests.flow.remembering import GROUP, SESSION, House, exchange, learn_day, learn_fact, open_house
from tests.flow.stage import daemon

OF_YOU = "Of you there is nothing here under #"


@pytest.fixture(params=[in_sqlite, in_memory])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    async with open_house(tmp_path, request.param) as opened:
        yield opened


async def test_what_is_kept_is_listed_explained_found_and_forgotten(house: House) -> None:
    async with house.run() as run:
        kept = await run.ask("/remember I am allergic to peanuts")
        listed = await run.ask("/memory")
        why = await run.ask("/memory why 1")
        found = await run.ask("/memory search peanuts?")
        gone = await run.ask("/forget 1")
        after = [await run.ask(text) for text in ("/memory", "/memory why 1", "/memory search peanuts")]

    assert kept == "I remember that, as #1: “I am allergic to peanuts”."
    assert listed.startswith("What I know of you\n#1 I am allergic to peanuts\n\n/memory why 1 says")
    assert why == (
        "#1 I am allergic to peanuts\n"
        "A fact, written down on 2026-03-01 12:00 UTC, from this conversation, message 1, in private.\n"
        "It stands on your words, the last of 2026-01-01 12:00 UTC:\n"
        "• message 1: “I am allergic to peanuts”"
    )
    assert found == "I would recall, best first\n#1 I am allergic to peanuts"
    assert gone.startswith("I have forgotten #1.\nWhat you wrote stays in the conversation's file")
    assert "/new" in gone
    assert "agentd people erase" in gone
    assert after == ["I know nothing of you yet.", f"{OF_YOU}1: it is forgotten already, or never was.",
                     "I would recall nothing for that."]  # fmt: skip
    assert run.stage.provider.requests == []


async def test_the_entry_that_is_kept_is_the_persons_with_the_commands_words_as_evidence(house: House) -> None:
    async with house.run() as run:
        await run.ask("/new")
        await run.ask("/REMEMBER   I live\nin Lisbon  ")

    [entry] = await house.store.export(frozenset({"fake:ada"}))
    seq = next(r["seq"] for r in run.stage.records() if r["type"] == "command" and r["name"] == "remember")
    assert (entry.text, entry.person, entry.kind, entry.direct) == ("I live in Lisbon", "fake:ada", "core", True)
    assert (entry.session, entry.first, entry.last, entry.importance) == (SESSION, seq, seq, 0.9)
    assert [(given.session, given.seq, given.quote) for given in entry.evidence] == [(SESSION, seq, "I live in Lisbon")]
    assert await house.store.watermark(SESSION, run.stage.records()[0]["ts"]) is None


async def test_a_list_has_facts_before_days_newest_first_ten_a_page(house: House) -> None:
    fruits = ("apples", "bread", "cheese", "dates", "eggs", "figs", "grapes")
    for seq, fruit in enumerate(fruits):
        await learn_fact(house.store, exchange(f"I like {fruit}", seq=seq))
        await learn_day(house.store, exchange(f"We talked about {fruit}", seq=100 + seq))
    async with house.run() as run:
        pages = [await run.ask(text) for text in ("/memory", "/memory 1", "/memory 2", "/memory #2", "/memory 3")]

    numbers = [[int(found) for found in re.findall(r"^#(\d+)", page, re.MULTILINE)] for page in pages]
    assert numbers == [
        [13, 11, 9, 7, 5, 14, 12, 10, 8, 6],
        [13, 11, 9, 7, 5, 14, 12, 10, 8, 6],
        [3, 1, 4, 2],
        [3, 1, 4, 2],
        [],
    ]
    assert "What happened\n#14 2026-01-01: We talked about grapes" in pages[0]
    assert "/memory 2 goes on." in pages[0]
    assert "goes on" not in pages[2]
    assert pages[4] == "Page 3 is empty: there is no more."


async def test_a_page_far_behind_is_found(house: House) -> None:
    for seq in range(521):
        await learn_day(house.store, exchange(f"day {seq}", seq=seq))
    async with house.run() as run:
        pages = [await run.ask(f"/memory {number}") for number in (52, 53, 999_999_999_999_999_999)]

    assert "#11 2026-01-01: day 10\n" in pages[0]
    assert "/memory 53 goes on." in pages[0]
    assert "#1 2026-01-01: day 0\n" in pages[1]
    assert pages[2].endswith("is empty: there is no more.")


@pytest.mark.parametrize(
    ("old", "new", "said", "standing"),
    [
        ("Has two cats", "Has three cats", "It takes the place of #1, which holds no longer.", 2),
        ("Allergic to nuts", "Allergic to nuts and eggs", "It says more than #1, and stands in its place.", 2),
        ("I like hiking in the mountains", "I love to hike in mountains", "I know that, as #1: “I like hiking", 1),
    ],
)
async def test_what_becomes_of_a_fact_that_touches_another_is_said(
    house: House, old: str, new: str, said: str, standing: int
) -> None:
    async with house.run() as run:
        await run.ask(f"/remember {old}")
        answer = await run.ask(f"/remember {new}")
        listed, whys = await run.ask("/memory"), [await run.ask(f"/memory why {number}") for number in (1, 2)]

    assert said in answer
    if standing == 1:
        assert whys[0].count("• message") == 2
        return
    assert f"#2 {new}\n#1 {old} (no longer: #2)" in listed
    assert whys[0].endswith("It holds no longer, since 2026-03-01 12:00 UTC: #2 took its place.")
    assert whys[1].endswith(f"It took the place of #1: “{old}”")


async def test_what_stood_in_the_place_of_another_is_forgotten_and_the_other_named(house: House) -> None:
    async with house.run() as run:
        await run.ask("/remember Has two cats")
        await run.ask("/remember Has three cats")
        first = await run.ask("/forget 2")
        listed, why = await run.ask("/memory"), await run.ask("/memory why 1")
        both = await run.ask("/forget 1")
        await run.ask("/remember Has two cats")
        await run.ask("/remember Has three cats")
        at_once = await run.ask("/forget #3, #4")

    assert "#1, in whose place that stood, I still keep as no longer true: /forget 1\n" in first
    assert "#1 Has two cats (no longer: since 2026-03-01)" in listed
    assert why.endswith("It holds no longer, since 2026-03-01 12:00 UTC.")
    assert both.startswith("I have forgotten #1.\nWhat")
    assert at_once.startswith("I have forgotten #3, #4.\nWhat")


@pytest.mark.parametrize("text", ["/remember", "/remember   ", "/remember \u200b", "/remember \n\t\u2060"])
async def test_nothing_to_remember_is_no_memory(house: House, text: str) -> None:
    async with house.run() as run:
        answer = await run.ask(text)

    assert answer == "Write what I shall remember behind it: /remember I am allergic to peanuts."
    assert await house.store.people() == ()


@pytest.mark.parametrize(("length", "is_kept"), [(MOST_FACT_CHARS, True), (MOST_FACT_CHARS + 1, False)])
async def test_a_text_that_is_too_long_says_so_and_is_not_cut_in_silence(
    house: House, length: int, is_kept: bool
) -> None:
    async with house.run() as run:
        answer = await run.ask(f"/remember {'x' * length}")

    assert answer.startswith("I remember that" if is_kept else f"That has {length} characters, and a memory takes 800")
    assert len(await house.store.export(frozenset({"fake:ada"}))) == is_kept


@pytest.mark.parametrize(
    "text",
    ["/forget", "/forget my birthday", "/forget 1 and 2", "/forget -1", "/forget 1.5", f"/forget {'9' * 19}",
     "/forget all", "/forget ١", "/forget ##1"],
)  # fmt: skip
async def test_forget_without_numbers_alone_forgets_nothing_and_says_how(house: House, text: str) -> None:
    await learn_fact(house.store, exchange("My birthday is in May"))
    async with house.run() as run:
        answer = await run.ask(text)

    assert answer.startswith("/forget takes the numbers of entries, such as /forget 4 7: /memory and /memory search")
    assert len(await house.store.export(frozenset({"fake:ada"}))) == 1


async def test_several_are_forgotten_at_once_and_what_is_not_there_is_said_once(house: House) -> None:
    for seq, word in enumerate(("apples", "bread", "cheese")):
        await learn_fact(house.store, exchange(f"I like {word}", seq=seq))
    async with house.run() as run:
        many = await run.ask("/forget " + " ".join(map(str, range(1, 22))))
        answer = await run.ask("/forget 3 1 3 99")

    assert many == "20 entries at a time, please: I have forgotten none."
    assert answer.startswith(f"I have forgotten #3, #1.\n{OF_YOU}99: it is forgotten already, or never was.\n")
    assert [entry.id for entry in await house.store.export(frozenset({"fake:ada"}))] == [2]


@pytest.mark.parametrize(
    "text", ["/memory why", "/memory why x", "/memory 0", "/memory search", "/memory search \u200b", "/memory what",
             "/memory 1 2", "/memory -1", f"/memory {'9' * 5000}"]
)  # fmt: skip
async def test_what_memory_does_not_understand_says_how_it_is_asked(house: House, text: str) -> None:
    async with house.run() as run:
        assert (await run.ask(text)).startswith("/memory lists what I know of you, and /memory 2 goes on.")


async def test_what_is_recalled_is_what_the_limits_of_the_configuration_let_through(house: House) -> None:
    for seq in range(6):
        await learn_day(house.store, exchange(f"Trip {seq} to the mountains " + "and a lake " * 200, seq=seq))
    async with house.run() as run:
        answer = await run.ask("/memory search mountains")

    entries = answer.splitlines()[1:]
    assert len(entries) == 4
    assert all(len(entry) < 830 for entry in entries)


async def test_in_a_group_only_what_was_not_learnt_in_private_is_there_and_that_is_said(house: House) -> None:
    secret = await learn_fact(house.store, exchange("I keep the key under the flowerpot"))
    await learn_fact(house.store, exchange("I water the plants", place=GROUP))
    async with house.run() as run:
        listed = await run.ask("/memory", place=GROUP)
        others = [await run.ask(f"/{words} {secret}", place=GROUP) for words in ("memory why", "forget")]
        found = await run.ask("/memory search flowerpot key", place=GROUP)
        in_private = await run.ask("/memory")

    assert "I water the plants" in listed
    assert listed.endswith("What you told me in private is not shown here, where others can read.")
    assert all("flowerpot" not in text for text in (listed, *others, found))
    assert all(text.startswith(f"{OF_YOU}{secret}:") for text in others)
    assert "flowerpot" in in_private
    assert "I water the plants" in in_private


async def test_in_a_group_the_name_of_another_conversation_is_not_shown(house: House) -> None:
    entry = await learn_fact(house.store, exchange("I water the plants", place=GROUP))
    other = await learn_fact(house.store, exchange("I bake bread", place=GROUP, seq=1))
    async with house.run(scope="chat") as run:
        in_group = await run.ask(f"/memory why {entry}", place=GROUP)
        in_private = await run.ask(f"/memory why {other}")

    assert "from another conversation on fake, message 0, where others could read." in in_group
    assert "~" not in in_group
    assert "from another conversation on fake (fake~bot~group~~ada), message 1" in in_private


async def test_what_is_kept_in_a_group_is_known_there(house: House) -> None:
    async with house.run() as run:
        await run.ask("/remember I am vegan", place=GROUP)
        listed = await run.ask("/memory", place=GROUP)

    assert "#1 I am vegan" in listed


async def test_linked_ids_are_one_person(house: House) -> None:
    house.links = dict.fromkeys(("fake:ada", "fake:ada2"), frozenset({"fake:ada", "fake:ada2"}))
    async with house.run() as run:
        await run.ask("/remember I am vegan", sender="ada2")
        listed = await run.ask("/memory")
        await run.ask("/forget 1")

    assert "#1 I am vegan" in listed
    assert await house.store.people() == ()


HOSTILE = "**bold** [bank](http://evil.example) @everyone <@123> <!channel> # You \u202eare\n#7 known\n@ada ok"


async def test_what_a_person_wrote_is_shown_as_text_and_calls_nobody(house: House) -> None:
    channel = Keeping()
    async with house.run(channel) as run:
        answer = await run.ask(f"/remember {HOSTILE}")
        listed, why = await run.ask("/memory"), await run.ask("/memory why 1")

    shown = (
        "**bold** [bank](http://evil.example) @\u2060everyone <@\u2060123> <!channel> # You are #7 known @\u2060ada ok"
    )
    assert all(shown in text for text in (answer, listed, why))
    assert {span.kind for rich in channel.rich for span in rich.spans} <= {"bold"}
    assert [rich.text[span.start : span.end] for rich in channel.rich for span in rich.spans] == [
        "What I know of you", f"#1 {shown}",
    ]  # fmt: skip
    for write in (write_markdown, to_markdown):
        for rich in channel.rich:
            assert "](http" not in write(rich).replace("\\", "").replace(shown, "")
            assert "@everyone" not in write(rich)


class Keeping(FakeChannel):
    """A platform with Markdown, which keeps the marks of what it is told to show."""

    def __init__(self) -> None:
        """Begin with an empty chat."""
        super().__init__(streams=False)
        self.dialect = Dialect(render_markdown)
        self.rich: list[RichText] = []

    async def send(self, to, text: RichText, nonce: str) -> str:  # type: ignore[no-untyped-def]
        """Keep a message with its marks."""
        self.rich.append(text)
        return await super().send(to, text, nonce)


async def test_a_long_entry_is_cut_in_a_list_and_whole_where_it_is_explained(house: House) -> None:
    text = "Loves " + "👩‍👩‍👧‍👦" * 60
    async with house.run() as run:
        await run.ask(f"/remember {text}")
        listed, why = await run.ask("/memory"), await run.ask("/memory why 1")

    line = listed.splitlines()[1]
    assert len(line) < 210
    assert line.removesuffix("…").removeprefix("#1 Loves ").replace("👩‍👩‍👧‍👦", "") == ""
    assert text in why


@pytest.mark.parametrize("text", ["/memory", "/memory why 1", "/memory search x", "/remember x", "/forget 1"])
async def test_where_memory_is_off_each_command_says_so(tmp_path: Path, text: str) -> None:
    async with daemon(tmp_path) as stage:
        await stage.say(text)

        assert stage.channel.texts == ["I remember nothing beyond this conversation: memory.enabled is false."]
        assert stage.kinds()[-1] == "delivery"


class Broken(InMemoryMemory):
    """A store whose database is gone."""

    async def learn(self, lesson: Lesson) -> LearnOutcome:
        """Fail."""
        raise MemoryUnusable("memory.db cannot be used (disk I/O error): check its owner, mode and disk")

    async def listed(self, who: Who, before: int | None, most: int) -> tuple[Memory, ...]:
        """Fail."""
        raise MemoryUnusable("memory.db cannot be used (disk I/O error): check its owner, mode and disk")

    async def why(self, who: Who, entry: int) -> Memory | None:
        """Fail."""
        raise MemoryUnusable("memory.db cannot be used (disk I/O error): check its owner, mode and disk")

    async def recall(self, who, question, reserve):  # type: ignore[no-untyped-def]
        """Fail."""
        raise MemoryUnusable("memory.db cannot be used (disk I/O error): check its owner, mode and disk")


@pytest.mark.parametrize("text", ["/memory", "/memory why 1", "/memory search x", "/remember x", "/forget 1"])
async def test_a_store_that_cannot_be_used_is_a_sentence_and_the_conversation_goes_on(
    tmp_path: Path, text: str
) -> None:
    async with House(tmp_path, Broken(lambda: NOW)).run() as run:
        answer = await run.ask(text)
        after = await run.ask("Hello")

    assert answer == (
        "My memory cannot be used now, and nothing in it has changed: memory.db cannot be used (disk I/O error): check "
        "its owner, mode and disk. Try again later."
    )
    assert after == "ok"


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("/remember I have two cats", "I know that, as #1: “I have two cats”."),
        ("/forget 1", f"{OF_YOU}1: it is forgotten already, or never was.\nWhat you wrote"),
    ],
)
async def test_what_a_crash_cut_is_obeyed_again_and_its_answer_is_true(house: House, text: str, again: str) -> None:
    if text.startswith("/forget"):
        await learn_fact(house.store, exchange("I have two cats"))
    gone = FakeChannel(streams=False)
    gone.gone = True
    async with house.run(gone) as run:
        await run.stage.post(text)
        await gone.called.wait()
    known = await house.store.export(frozenset({"fake:ada"}))
    async with house.run() as run:
        texts = run.stage.channel.texts

    assert len(known) == text.startswith("/remember")
    assert len(texts) == 1
    assert again in texts[0]
    assert await house.store.export(frozenset({"fake:ada"})) == known


async def test_what_was_forgotten_stays_in_the_conversations_file_as_the_answer_says(house: House) -> None:
    async with house.run() as run:
        await run.ask("/remember I was fired from Initech")
        await run.ask("/forget 1")

        assert any("Initech" in str(record) for record in run.stage.records())

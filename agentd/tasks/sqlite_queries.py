"""Maps every query that the SQLite connector supports, procrastinate's by name and ours by text, to its SQLite form.

procrastinate has 22 queries; `REFUSED` says which of them have no meaning here. Another version may have others, which
`check_names` finds out before the first query.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, Final

from procrastinate.sql import queries as PROCRASTINATE  # noqa: N812 - a constant of theirs

from agentd.errors import ConfigError
from agentd.tasks import own_queries
from agentd.tasks.sqlite_jobs import CHANGING, Arguments, Notice, Outcome, Query, Row, as_job, once_free

__all__ = ["REFUSED", "check_names", "queries_by_text"]

REFUSED: Final[Mapping[str, str]] = {
    "listen_queue": "it belongs to PostgreSQL's LISTEN; here listen_notify hears of each commit in this process",
}
"""procrastinate's queries that are not supported here, and why."""

_SECOND = 1_000_000
_HOUR = 3600 * _SECOND

_JOB = "id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id"
_OF_QUEUE = "(:queue IS NULL OR queue_name = :queue)"
_FILTER = (
    "(:queue_name IS NULL OR queue_name = :queue_name) AND (:task_name IS NULL OR task_name = :task_name)"
    " AND (:status IS NULL OR status = :status) AND (:lock IS NULL OR lock = :lock)"
)


def _selecting(sql: str, change: Callable[[sqlite3.Row], Row] = dict) -> Query:
    def select(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
        return Outcome([change(row) for row in connection.execute(sql, arguments)])

    return select


def _counting(column: str) -> Query:
    """Return a query that counts jobs by a column, and within that by status."""
    sql = (
        f"SELECT {column} AS name, status, count(*) AS jobs_count FROM job"  # noqa: S608 - a column of ours
        f" WHERE {_FILTER} AND {column} IS NOT NULL GROUP BY name, status ORDER BY name"
    )

    def count(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
        stats: dict[str, dict[str, int]] = {}
        for row in connection.execute(sql, arguments):
            stats.setdefault(row["name"], {})[row["status"]] = row["jobs_count"]
        return Outcome(
            [{"name": name, "jobs_count": sum(found.values()), "stats": found} for name, found in stats.items()]
        )

    return count


def _delete_old_jobs(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    connection.execute(
        f"DELETE FROM job WHERE {_OF_QUEUE} AND status IN (SELECT value FROM json_each(:statuses))"  # noqa: S608
        " AND changed_at < :before",
        {
            "queue": arguments["queue"],
            "statuses": json.dumps(list(arguments["statuses"])),
            "before": arguments["now"] - float(arguments["nb_hours"]) * _HOUR,
        },
    )
    return Outcome([])


def _aged(sql: str, age: str) -> Query:
    """Return a query over what is older than `age` seconds."""

    def select(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
        before = arguments["now"] - float(arguments[age]) * _SECOND
        rows = connection.execute(sql, {**arguments, "before": before}).fetchall()
        return Outcome([as_job(row) if "args" in row.keys() else dict(row) for row in rows])  # noqa: SIM118 - a Row

    return select


_READING: Final[Mapping[str, Query]] = {
    "select_stalled_jobs_by_started": _aged(
        f"SELECT {_JOB} FROM job WHERE status = 'doing' AND started_at < :before AND {_OF_QUEUE}"  # noqa: S608
        " AND (:task_name IS NULL OR task_name = :task_name)",
        "nb_seconds",
    ),
    "select_stalled_jobs_by_heartbeat": _aged(
        f"SELECT {_JOB} FROM job WHERE status = 'doing' AND {_OF_QUEUE}"  # noqa: S608
        " AND (:task_name IS NULL OR task_name = :task_name)"
        " AND (worker_id IS NULL OR worker_id IN (SELECT id FROM worker WHERE heartbeat < :before))",
        "seconds_since_heartbeat",
    ),
    "get_job_status": _selecting("SELECT status FROM job WHERE id = :job_id"),
    "check_connection": _selecting("SELECT (SELECT name FROM sqlite_master WHERE name = 'job') AS \"check\""),
    "count_jobs_status": _selecting("SELECT count(*) AS count, status FROM job GROUP BY status"),
    "list_jobs": _selecting(
        f"SELECT {_JOB}, abort_requested FROM job WHERE (:id IS NULL OR id = :id) AND {_FILTER}"  # noqa: S608
        " AND (:queueing_lock IS NULL OR queueing_lock = :queueing_lock)"
        " AND (:worker_id IS NULL OR worker_id = :worker_id) ORDER BY id",
        as_job,
    ),
    "list_queues": _counting("queue_name"),
    "list_tasks": _counting("task_name"),
    "list_locks": _counting("lock"),
    "list_jobs_to_abort": _selecting(
        "SELECT id FROM job WHERE status = 'doing' AND abort_requested"
        " AND (:queue_name IS NULL OR queue_name = :queue_name)"
    ),
}

_WORKERS: Final[Mapping[str, Query]] = {
    "register_worker": _selecting("INSERT INTO worker (heartbeat) VALUES (:now) RETURNING id AS worker_id"),
    "unregister_worker": _selecting("DELETE FROM worker WHERE id = :worker_id"),
    "update_heartbeat": _selecting("UPDATE worker SET heartbeat = :now WHERE id = :worker_id"),
    "prune_stalled_workers": _aged(
        "DELETE FROM worker WHERE heartbeat < :before RETURNING id AS worker_id", "seconds_since_heartbeat"
    ),
}

_FAILED = (
    "INSERT INTO failure VALUES (:job_id, 1, :error)"
    " ON CONFLICT DO UPDATE SET failures = failures + 1, error = excluded.error RETURNING failures"
)


def _take_over(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    queues = json.dumps(list(arguments["queues"]))
    before = arguments["now"] - float(arguments["seconds_since_heartbeat"]) * _SECOND
    jobs = connection.execute(
        "SELECT id, queue_name FROM job WHERE status = 'doing' AND queue_name IN (SELECT value FROM json_each(:queues))"
        " AND (worker_id IS NULL OR worker_id IN (SELECT id FROM worker WHERE heartbeat < :before)) ORDER BY id",
        {"queues": queues, "before": before},
    ).fetchall()
    rows: list[Row] = []
    notices: list[Notice] = []
    for number, queue in jobs:
        [[failures]] = connection.execute(_FAILED, {"job_id": number, "error": arguments["error"]}).fetchall()
        status = "failed" if failures >= arguments["max_attempts"] else "todo"
        connection.execute(
            "UPDATE job SET status = ?, attempts = attempts + 1, scheduled_at = NULL, queueing_lock = NULL,"
            " abort_requested = 0, worker_id = NULL, changed_at = ? WHERE id = ?",
            [status, arguments["now"], number],
        )
        rows.append({"id": number, "status": status})
        notices.append(Notice(queue, "job_inserted", number))
    return Outcome(rows, tuple(notices))


def _restarting(sql: str) -> Query:
    """Return a query that puts jobs back to be tried again, or sooner, if they are in the right state."""

    def restart(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
        rows = connection.execute(f"{sql} RETURNING id, lock, queue_name", arguments).fetchall()
        return Outcome(
            [{"id": row["id"]} for row in rows],
            tuple(Notice(row["queue_name"], "job_inserted", row["id"]) for row in rows),
        )

    return restart


def _revive(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    outcome = _restarting(
        "UPDATE job SET status = 'todo', attempts = 0, scheduled_at = NULL, queueing_lock = NULL, worker_id = NULL,"
        " changed_at = :now WHERE id = :job_id AND status = 'failed'"
    )(connection, arguments)
    if outcome.rows:
        connection.execute("DELETE FROM failure WHERE job_id = :job_id", arguments)
    return outcome


def _bring_forward(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    after = arguments["now"] + float(arguments["most_seconds"]) * _SECOND
    return _restarting(
        "UPDATE job SET scheduled_at = NULL, changed_at = :now WHERE status = 'todo' AND scheduled_at > :after"
    )(connection, {**arguments, "after": after})


def _erase(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    connection.execute("DELETE FROM job WHERE id = :job_id AND lock = :lock AND status <> 'doing'", arguments)
    return Outcome([], once_free(connection, arguments["lock"]))


def _are_idle(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    [found] = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM job AS this WHERE status = 'todo'"
        " AND (scheduled_at IS NULL OR scheduled_at <= :now) AND queue_name IN (SELECT value FROM json_each(:queues))"
        " AND (lock IS NULL OR NOT EXISTS ("
        "SELECT 1 FROM job WHERE lock = this.lock AND status = 'todo' AND id < this.id)))"
        " AND NOT EXISTS (SELECT 1 FROM job WHERE status = 'doing')",
        {"now": arguments["now"], "queues": json.dumps(list(arguments["queues"]))},
    ).fetchone()
    return Outcome([{"found": bool(found)}])


_OWN: Final[Mapping[str, Query]] = {
    own_queries.KEEP_FAILURE: _selecting(_FAILED),
    own_queries.FREE_QUEUEING_LOCK: _selecting("UPDATE job SET queueing_lock = NULL WHERE id = :job_id"),
    own_queries.IS_KNOWN: _selecting(
        "SELECT EXISTS (SELECT 1 FROM job WHERE"
        " (status = 'failed' OR (status IN ('todo', 'doing') AND lock IS NOT NULL))"
        " AND task_name = :task_name AND lock IS :lock AND json_extract(args, '$.words') = :words) AS found"
    ),
    own_queries.LIST_ENTRIES: _selecting(
        "SELECT job.id, task_name, lock, status, attempts, error, json_extract(args, '$.words') AS words"
        " FROM job LEFT JOIN failure ON job_id = job.id"
        " WHERE :status IS NULL OR status = :status ORDER BY job.id"
    ),
    own_queries.REVIVE: _revive,
    own_queries.TAKE_OVER: _take_over,
    own_queries.REQUEUE: _restarting(
        "UPDATE job SET status = 'todo', attempts = attempts + 1, scheduled_at = NULL, queueing_lock = NULL,"
        " abort_requested = 0, worker_id = NULL, changed_at = :now"
        " WHERE id = :job_id AND status = 'doing' AND worker_id IS :worker_id"
    ),
    own_queries.BRING_FORWARD: _bring_forward,
    own_queries.ERASE: _erase,
    own_queries.ARE_IDLE: _are_idle,
    own_queries.SWEEP_AWAY: _selecting("DELETE FROM job WHERE status IN ('aborted', 'cancelled')"),
}


def _refusing(name: str, reason: str) -> Query:
    def refuse(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
        raise NotImplementedError(f"{name}: {reason}")

    return refuse


_NAMED: Final[Mapping[str, Query]] = {
    **CHANGING,
    **_READING,
    **_WORKERS,
    "delete_old_jobs": _delete_old_jobs,
    **{name: _refusing(name, reason) for name, reason in REFUSED.items()},
}


def check_names(theirs: Mapping[str, Any] = PROCRASTINATE) -> None:
    """Check that the installed procrastinate has exactly the queries supported here. Raises ConfigError."""
    if unlike := sorted(theirs.keys() ^ _NAMED.keys()):
        raise ConfigError(
            f"the installed procrastinate is of another version than agentd needs (its queries differ: "
            f"{', '.join(unlike)}): install the versions that agentd's requirements pin"
        )


def queries_by_text() -> Mapping[str, Query]:
    """Return each query by its text."""
    return {**{text: _NAMED[name] for name, text in PROCRASTINATE.items()}, **_OWN}

"""procrastinate's queries that change jobs, for SQLite: each does what procrastinate's SQL function does on PostgreSQL.

A query takes the connection, inside a transaction, and its arguments; it returns its rows and whom to notify.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.manager import QUEUEING_LOCK_CONSTRAINT
from procrastinate.types import JobToDefer

__all__ = ["CHANGING", "Arguments", "Notice", "Outcome", "Query", "Row", "as_job", "microseconds", "once_free"]

Row = dict[str, Any]
Arguments = Mapping[str, Any]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification, as PostgreSQL would send it to listeners of a queue."""

    queue: str
    type: str
    job_id: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a query returns, and the notices to send once it is committed."""

    rows: list[Row]
    notices: tuple[Notice, ...] = ()


Query = Callable[[sqlite3.Connection, Arguments], Outcome]


def microseconds(moment: datetime) -> int:
    """Return an aware time in the database's form."""
    return (moment - _EPOCH) // _MICROSECOND


def as_job(row: sqlite3.Row) -> Row:
    """Return a row of `job` in procrastinate's form."""
    job = dict(row)
    job["args"] = json.loads(job["args"])
    if job["scheduled_at"] is not None:
        job["scheduled_at"] = _EPOCH + job["scheduled_at"] * _MICROSECOND
    if "abort_requested" in job:
        job["abort_requested"] = bool(job["abort_requested"])
    return job


def once_free(connection: sqlite3.Connection, lock: str | None) -> tuple[Notice, ...]:
    """Return the notice that the next job of a lock may begin; on PostgreSQL polling finds that."""
    if lock is None:
        return ()
    row = connection.execute(
        "SELECT id, queue_name FROM job WHERE lock = ? AND status = 'todo' ORDER BY priority DESC, id LIMIT 1", [lock]
    ).fetchone()
    return () if row is None else (Notice(row["queue_name"], "job_inserted", row["id"]),)


def _defer_jobs(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    jobs: list[JobToDefer] = arguments["jobs"]
    ids = [_insert(connection, job, arguments["now"]) for job in jobs]
    notices = tuple(Notice(job.queue_name, "job_inserted", number) for job, number in zip(jobs, ids, strict=True))
    return Outcome([{"id": number} for number in ids], notices)


def _insert(connection: sqlite3.Connection, job: JobToDefer, now: int) -> int:
    values = {
        **job._asdict(),
        "args": json.dumps(job.args),
        "scheduled_at": job.scheduled_at and microseconds(job.scheduled_at),
        "now": now,
    }
    try:
        [[number]] = connection.execute(
            "INSERT INTO job (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at, changed_at)"
            " VALUES (:queue_name, :task_name, :priority, :lock, :queueing_lock, :args, :scheduled_at, :now)"
            " RETURNING id",
            values,
        ).fetchall()
    except sqlite3.IntegrityError as fault:
        raise UniqueViolation(constraint_name=QUEUEING_LOCK_CONSTRAINT, queueing_lock=job.queueing_lock) from fault
    return int(number)


def _defer_periodic_job(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    key = {name: arguments[name] for name in ("task_name", "periodic_id", "defer_timestamp")}
    kept = connection.execute(
        "INSERT INTO periodic VALUES (:task_name, :periodic_id, :defer_timestamp) ON CONFLICT DO NOTHING", key
    )
    if not kept.rowcount:
        return Outcome([{"id": None}])
    connection.execute(
        "DELETE FROM periodic WHERE task_name = :task_name AND periodic_id = :periodic_id"
        " AND defer_timestamp < :defer_timestamp",
        key,
    )
    job = JobToDefer(
        queue_name=arguments["queue"],
        task_name=arguments["task_name"],
        priority=arguments["priority"],
        lock=arguments["lock"],
        queueing_lock=arguments["queueing_lock"],
        args=arguments["args"],
        scheduled_at=None,
    )
    return _defer_jobs(connection, {"jobs": [job], "now": arguments["now"]})


_FETCH = """
UPDATE job SET status = 'doing', worker_id = :worker_id, started_at = :now, changed_at = :now WHERE id = (
    SELECT id FROM job AS this
     WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= :now)
       AND (:queues IS NULL OR queue_name IN (SELECT value FROM json_each(:queues)))
       AND (lock IS NULL OR NOT (
           EXISTS (SELECT 1 FROM job WHERE lock = this.lock AND status = 'doing')
           OR EXISTS (SELECT 1 FROM job AS other WHERE lock = this.lock AND status = 'todo' AND (
               priority > this.priority OR (priority = this.priority AND other.id < this.id)))))
     ORDER BY priority DESC, id LIMIT 1)
RETURNING id, status, task_name, priority, lock, queueing_lock, args, scheduled_at, queue_name, attempts, worker_id
"""


def _fetch_job(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    queues = arguments["queues"]
    names = None if queues is None else json.dumps(list(queues))
    rows = connection.execute(_FETCH, {**arguments, "queues": names}).fetchall()
    return Outcome([as_job(row) for row in rows] or [{"id": None}])


def _finish_job(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    if arguments["status"] not in ("succeeded", "failed", "aborted"):
        raise ConnectorException(f"a job cannot end as {arguments['status']}")
    change = (
        "DELETE FROM job"
        if arguments["delete_job"]
        else "UPDATE job SET attempts = attempts + (status = 'doing'), status = :status, abort_requested = 0,"
        " changed_at = :now"
    )
    [lock] = _one(connection, f"{change} WHERE id = :job_id AND status IN ('todo', 'doing') RETURNING lock", arguments)
    return Outcome([], once_free(connection, lock))


def _retry_job(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    values = {**arguments, "retry_at": microseconds(arguments["retry_at"])}
    [aborted] = _one(
        connection,
        "SELECT status = 'doing' AND abort_requested FROM job WHERE id = :job_id AND status IN ('doing', 'failed')",
        values,
    )
    if aborted:
        [lock] = _one(
            connection, "UPDATE job SET status = 'failed', changed_at = :now WHERE id = :job_id RETURNING lock", values
        )
        return Outcome([], once_free(connection, lock))
    try:
        [lock] = _one(
            connection,
            "UPDATE job SET status = 'todo', attempts = attempts + 1, scheduled_at = :retry_at, changed_at = :now,"
            " abort_requested = 0, priority = COALESCE(:new_priority, priority),"
            " queue_name = COALESCE(:new_queue_name, queue_name), lock = COALESCE(:new_lock, lock)"
            " WHERE id = :job_id RETURNING lock",
            values,
        )
    except sqlite3.IntegrityError as fault:
        raise UniqueViolation(constraint_name=QUEUEING_LOCK_CONSTRAINT, queueing_lock=None) from fault
    return Outcome([], once_free(connection, lock))


def _cancel_job(connection: sqlite3.Connection, arguments: Arguments) -> Outcome:
    number = arguments["job_id"]
    row = connection.execute(
        "SELECT status, queue_name, lock FROM job WHERE id = ? AND status IN ('todo', 'doing')", [number]
    ).fetchone()
    if row is None or (row["status"] == "doing" and not arguments["abort"]):
        return Outcome([{"id": None}])
    if row["status"] == "doing":
        connection.execute("UPDATE job SET abort_requested = 1 WHERE id = ?", [number])
        return Outcome([{"id": number}], (Notice(row["queue_name"], "abort_job_requested", number),))
    if arguments["delete_job"]:
        connection.execute("DELETE FROM job WHERE id = ?", [number])
    else:
        connection.execute(
            "UPDATE job SET status = 'cancelled', abort_requested = :abort, changed_at = :now WHERE id = :job_id",
            {**arguments, "abort": int(arguments["abort"])},
        )
    return Outcome([{"id": number}], once_free(connection, row["lock"]))


def _one(connection: sqlite3.Connection, sql: str, arguments: Arguments) -> sqlite3.Row:
    """Return the row that the statement must yield. Raises ConnectorException if there is none."""
    rows: list[sqlite3.Row] = connection.execute(sql, arguments).fetchall()
    if not rows:
        raise ConnectorException(f"job {arguments['job_id']} is not there, or not in a state for this")
    return rows[0]


CHANGING: Mapping[str, Query] = {
    "defer_jobs": _defer_jobs,
    "defer_periodic_job": _defer_periodic_job,
    "fetch_job": _fetch_job,
    "finish_job": _finish_job,
    "retry_job": _retry_job,
    "cancel_job": _cancel_job,
}

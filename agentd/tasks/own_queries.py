"""Our own SQL queries on the tasks' database, beside procrastinate's; as written here they are for PostgreSQL.

The SQLite connector knows each by its text, as it knows procrastinate's. `agentd_task_failures` holds how often a job
failed and why; its rows are deleted with their jobs.
"""

from __future__ import annotations

from typing import Final, LiteralString

__all__ = [
    "ARE_IDLE",
    "BRING_FORWARD",
    "ERASE",
    "FREE_QUEUEING_LOCK",
    "IS_KNOWN",
    "KEEP_FAILURE",
    "LIST_ENTRIES",
    "REQUEUE",
    "REVIVE",
    "SWEEP_AWAY",
    "TAKE_OVER",
]

KEEP_FAILURE: Final[LiteralString] = """
INSERT INTO agentd_task_failures (job_id, failures, error) VALUES (%(job_id)s, 1, %(error)s)
ON CONFLICT (job_id) DO UPDATE SET failures = agentd_task_failures.failures + 1, error = EXCLUDED.error
RETURNING failures
"""
"""Record a failed attempt, and return the number of failures."""

FREE_QUEUEING_LOCK: Final[LiteralString] = """
UPDATE procrastinate_jobs SET queueing_lock = NULL WHERE id = %(job_id)s
"""
"""Run when a job begins: its queueing lock may be taken by another then, and a retry that wants it back would be
refused.
"""

IS_KNOWN: Final[LiteralString] = """
SELECT EXISTS (
    SELECT 1 FROM procrastinate_jobs
     WHERE (status = 'failed' OR (status IN ('todo', 'doing') AND lock IS NOT NULL))
       AND task_name = %(task_name)s AND lock IS NOT DISTINCT FROM %(lock)s
       AND args->>'words' = %(words)s) AS found
"""
"""Tell whether the same task is dead or, for a session's task, waiting or running: a second would achieve nothing.

The queueing lock does not tell, since it is given up when a job begins.
"""

LIST_ENTRIES: Final[LiteralString] = """
SELECT job.id, task_name, lock, status::text AS status, attempts, error, args->>'words' AS words
  FROM procrastinate_jobs job LEFT JOIN agentd_task_failures ON job_id = job.id
 WHERE %(status)s::text IS NULL OR status::text = %(status)s
 ORDER BY job.id
"""

REVIVE: Final[LiteralString] = """
WITH forgotten AS (DELETE FROM agentd_task_failures WHERE job_id = %(job_id)s)
UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = NULL, queueing_lock = NULL, worker_id = NULL
 WHERE id = %(job_id)s AND status = 'failed'
RETURNING id
"""
"""Make a dead job start over, from its first attempt."""

TAKE_OVER: Final[LiteralString] = """
WITH taken AS (
    UPDATE procrastinate_jobs job
       SET status = CASE
               WHEN 1 + COALESCE((SELECT failures FROM agentd_task_failures WHERE job_id = job.id), 0)
                    >= %(max_attempts)s::int
               THEN 'failed' ELSE 'todo' END::procrastinate_job_status,
           attempts = attempts + 1, scheduled_at = NULL, queueing_lock = NULL, abort_requested = false, worker_id = NULL
     WHERE status = 'doing' AND queue_name = ANY(%(queues)s::varchar[])
       AND (worker_id IS NULL OR worker_id IN (
           SELECT id FROM procrastinate_workers
            WHERE last_heartbeat < NOW() - make_interval(secs => %(seconds_since_heartbeat)s)))
    RETURNING id, status::text AS status
), noted AS (
    INSERT INTO agentd_task_failures (job_id, failures, error) SELECT id, 1, %(error)s FROM taken
    ON CONFLICT (job_id) DO UPDATE SET failures = agentd_task_failures.failures + 1, error = EXCLUDED.error
)
SELECT id, status FROM taken ORDER BY id
"""
"""Take over the jobs of dead workers, as failed attempts; one statement, so that two processes cannot take the same."""

REQUEUE: Final[LiteralString] = """
UPDATE procrastinate_jobs
   SET status = 'todo', attempts = attempts + 1, scheduled_at = NULL, queueing_lock = NULL, abort_requested = false,
       worker_id = NULL
 WHERE id = %(job_id)s AND status = 'doing' AND worker_id IS NOT DISTINCT FROM %(worker_id)s::bigint
RETURNING id
"""
"""Put back a job that this worker holds but does not run, since its end could not be recorded."""

ERASE: Final[LiteralString] = """
DELETE FROM procrastinate_jobs WHERE id = %(job_id)s AND lock = %(lock)s AND status <> 'doing'
"""

ARE_IDLE: Final[LiteralString] = """
SELECT EXISTS (
    SELECT 1 FROM procrastinate_jobs this
     WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= NOW())
       AND queue_name = ANY(%(queues)s::varchar[])
       AND (lock IS NULL OR NOT EXISTS (
           SELECT 1 FROM procrastinate_jobs other
            WHERE other.lock = this.lock AND other.status = 'todo' AND other.id < this.id))
) AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs WHERE status = 'doing') AS found
"""
"""Tell whether a job could run, and none does."""

BRING_FORWARD: Final[LiteralString] = """
UPDATE procrastinate_jobs SET scheduled_at = NULL
 WHERE status = 'todo' AND scheduled_at > NOW() + make_interval(secs => %(most_seconds)s)
RETURNING id
"""
"""Jobs that would rest for longer than any does: they, and all of their sessions behind them, would for as long as the
clock was ahead.
"""

SWEEP_AWAY: Final[LiteralString] = """
DELETE FROM procrastinate_jobs WHERE status IN ('aborted', 'cancelled')
"""
"""Remove jobs that were aborted or cancelled for an erasure."""

"""The schema of `tasks.db`, and how the file is opened, created, or replaced if damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from agentd.state.database import Form, NotOurs, connect, renew

__all__ = ["TASKS", "open_tasks_file"]

APPLICATION_ID = 0x61676E71
"""Marks a database as our queue: `agnq`."""

MIGRATIONS = (
    """
    CREATE TABLE worker (id INTEGER PRIMARY KEY AUTOINCREMENT, heartbeat INTEGER NOT NULL);
    CREATE TABLE job (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        queue_name TEXT NOT NULL, task_name TEXT NOT NULL, priority INTEGER NOT NULL,
        lock TEXT, queueing_lock TEXT, args TEXT NOT NULL,
        status TEXT NOT NULL DEFAULT 'todo', scheduled_at INTEGER, attempts INTEGER NOT NULL DEFAULT 0,
        abort_requested INTEGER NOT NULL DEFAULT 0,
        worker_id INTEGER REFERENCES worker (id) ON DELETE SET NULL,
        started_at INTEGER, changed_at INTEGER NOT NULL,
        CHECK (NOT (status = 'todo' AND abort_requested))
    );
    CREATE UNIQUE INDEX job_queueing_lock ON job (queueing_lock) WHERE status = 'todo';
    CREATE UNIQUE INDEX job_lock ON job (lock) WHERE status = 'doing';
    CREATE INDEX job_waiting ON job (priority DESC, id) WHERE status = 'todo';
    CREATE INDEX job_lock_waiting ON job (lock, priority DESC, id) WHERE status = 'todo';
    CREATE INDEX job_worker ON job (worker_id) WHERE status = 'doing';
    CREATE TABLE periodic (
        task_name TEXT NOT NULL, periodic_id TEXT NOT NULL, defer_timestamp INTEGER NOT NULL,
        PRIMARY KEY (task_name, periodic_id, defer_timestamp)
    ) WITHOUT ROWID;
    CREATE TABLE failure (
        job_id INTEGER PRIMARY KEY REFERENCES job (id) ON DELETE CASCADE,
        failures INTEGER NOT NULL, error TEXT NOT NULL
    );
    """,
)
"""Each takes the database to the next `user_version`; they are added to, never changed. Times are in microseconds."""

TASKS = Form("tasks.db", APPLICATION_ID, MIGRATIONS, "tasks_set_aside")


def open_tasks_file(path: Path, now: Callable[[], datetime]) -> sqlite3.Connection:
    """Open the database, created (0600) if missing; a damaged one is set aside and a new one begun.

    A commit is on disk when it returns, and deleted data is overwritten. Raises OSError, sqlite3.Error, and ConfigError
    if a later version wrote it.
    """
    try:
        connection = connect(path, TASKS)
    except NotOurs as fault:
        connection = renew(path, now(), fault, TASKS)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")
    connection.row_factory = sqlite3.Row
    return connection

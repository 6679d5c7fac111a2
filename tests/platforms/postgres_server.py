"""This module starts a PostgreSQL for the tests, on a Unix socket, if the system has its programs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from pydantic import SecretStr

__all__ = ["MISSING", "PostgresServer", "find_programs", "running_server"]

MISSING = "there is no PostgreSQL server on this machine: apt install postgresql"

DEBIAN = Path("/usr/lib/postgresql")
NOBODY = 65534
"""The server refuses to run as root."""

_SPARED = {"fsync": "off", "autovacuum": "off", "jit": "off", "max_wal_size": "128MB"}
"""What makes data outlast a loss of power, or a server fast for years: its files are gone within minutes."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only where a folder of one's own is made
ROOM_BYTES = 6 << 30
"""A database has three hundred files, which a disk takes long to make; all workers' take less than 2 GB."""


def find_programs() -> Path | None:
    """Return the folder of `initdb` and `postgres`; None where there are none."""
    places = sorted(DEBIAN.glob("*/bin"), reverse=True)
    if found := shutil.which("initdb"):
        places.append(Path(found).resolve().parent)
    return next((place for place in places if (place / "initdb").exists() and (place / "postgres").exists()), None)


class PostgresServer:
    """One server; `stop` and `start` are an outage."""

    def __init__(self, programs: Path, folder: Path) -> None:
        """Keep its data in an empty folder."""
        self._programs = programs
        self._folder = folder
        self._user = NOBODY if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self.template = ""
        """The name of a database that `new_database` copies when it is asked to; none is made here."""

    def create(self) -> None:
        """Make the server's files."""
        if self._user is not None:
            os.chown(self._folder, self._user, self._user)
        subprocess.run(
            [self._programs / "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
            env={"LC_ALL": "C", "PATH": os.defpath},
        )

    def start(self) -> None:
        """Run it until it takes connections."""
        options = {"listen_addresses": "", "unix_socket_directories": self._folder, "port": "5432", **_SPARED}
        self._process = subprocess.Popen(
            [self._programs / "postgres", "-D", self._data, *(f"--{name}={value}" for name, value in options.items())],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=self._user,
            cwd=self._folder,
        )
        self._await_ready()

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it at once, with every connection: "fast", which ends its sessions, if not by another signal."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def new_database(self, template: str = "template1") -> SecretStr:
        """Return the URL of an empty database, or of a copy of another that nobody has open."""
        name = f"tasks_{uuid.uuid4().hex}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return SecretStr(self._url(name))

    def _await_ready(self) -> None:
        """Connect, again and again: the server says in no other way that it is there."""
        for _ in range(600):
            try:
                psycopg.connect(self._url("postgres"), connect_timeout=1).close()
            except psycopg.OperationalError:
                assert self._process is not None
                try:
                    self._process.wait(0.05)
                except subprocess.TimeoutExpired:
                    continue
                raise
            else:
                return
        raise TimeoutError("PostgreSQL did not start")

    @property
    def _data(self) -> Path:
        return self._folder / "data"

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._folder}"


@contextmanager
def running_server(programs: Path) -> Iterator[PostgresServer]:
    """Run a server until the end."""
    with tempfile.TemporaryDirectory(prefix="pg-", dir=_place(), ignore_cleanup_errors=True) as folder:
        server = PostgresServer(programs, Path(folder))
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # "immediate": what it had still to write would be deleted


def _place() -> Path | None:
    """Return where there is memory for its files; None: where temporary files are."""
    if not IN_MEMORY.is_dir():
        return None
    [kilobytes] = re.findall(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text("ascii"), re.MULTILINE)
    free = min(int(kilobytes) << 10, shutil.disk_usage(IN_MEMORY).free)
    return IN_MEMORY if free >= ROOM_BYTES else None

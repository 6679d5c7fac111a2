"""Provisional."""

from memory.store_sqlite.store import open_sqlite_memory as open_memory

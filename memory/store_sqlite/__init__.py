"""This package is the memory store in one SQLite file, `memory.db`."""

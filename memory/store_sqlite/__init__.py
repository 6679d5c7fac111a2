"""Memory in one SQLite file, `memory.db`."""

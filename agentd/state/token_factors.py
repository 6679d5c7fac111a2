"""Stores the token factors of the models, as calibration has learnt them; if lost, they are learnt again."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from agentd.state.database import Database, storable, transaction

__all__ = ["TokenFactors", "read_factors"]

Factors = Mapping[str, tuple[float, int]]
"""Each model's factor, and from how many reports it was learnt."""


class TokenFactors:
    """The factors in the database."""

    def __init__(self, database: Database, known: Factors) -> None:
        """Begin with what was read from the database."""
        self._database = database
        self.known = known

    async def keep(self, factors: Factors) -> None:
        """Store these, and leave other models' as they are. Raises sqlite3.Error."""
        await self._database.run(lambda connection: _keep(connection, factors))


def read_factors(connection: sqlite3.Connection) -> Factors:
    """Read all factors. Raises sqlite3.Error."""
    rows = connection.execute("SELECT model, factor, reports FROM token_factors")
    return {model: (factor, reports) for model, factor, reports in rows}


def _keep(connection: sqlite3.Connection, factors: Factors) -> None:
    with transaction(connection):
        connection.executemany(
            "INSERT OR REPLACE INTO token_factors VALUES (?, ?, ?)",
            [(storable(model), factor, reports) for model, (factor, reports) in factors.items()],
        )

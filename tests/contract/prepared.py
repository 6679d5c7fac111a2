"""This module gives tests PostgreSQL databases with ready tables, since creating those takes longer than most tests."""

from __future__ import annotations

from pydantic import SecretStr

from agentd.tasks.opening import open_queue
from agentd.transcript.clock import utc_now
from memory.opening import open_memory
from tests.platforms.postgres_server import PostgresServer

__all__ = ["prepared_database"]


async def prepared_database(server: PostgresServer) -> SecretStr:
    """Return the URL of a database in which a queue and a memory were opened once, and nothing else was done."""
    if not server.template:
        url = server.new_database()
        async with open_queue(url, utc_now), open_memory(url, utc_now):
            pass
        server.template = url.get_secret_value().partition("?")[0].rpartition("/")[2]
    return server.new_database(server.template)

"""The daemon sets its process's umask, which in these tests is the test's own."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


@asynccontextmanager
async def kept_umask() -> AsyncIterator[None]:
    """Put back what the daemon set."""
    mask = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(mask)

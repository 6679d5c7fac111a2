"""This module closes connections when the event loop ends, if nobody has closed them before."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["close_with_loop"]


async def close_with_loop(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """Yield once, and call `close` when this generator is closed: by hand, or by the event loop when it ends."""
    try:
        yield
    finally:
        await close()

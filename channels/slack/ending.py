"""What is closed at the latest when the event loop ends: a process that ends need not remember it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable

__all__ = ["close_with_loop"]


async def close_with_loop(close: Callable[[], Awaitable[None]]) -> AsyncGenerator[None, None]:
    """Yield once, and call `close` when this is closed: by hand, or by the loop, which closes what has begun."""
    try:
        yield
    finally:
        await close()

"""This module is a person who answers the questions of `agentd init`, without a terminal."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import TypeVar

from agentd.cli.init_asking import Talk

T = TypeVar("T")


async def answered(ask: Callable[[Talk], T], *answers: str) -> T:
    """Let `ask` ask on another thread, as it has a loop of its own; it gets these answers, and no more."""
    return await asyncio.to_thread(ask, Talk(io.StringIO("".join(f"{answer}\n" for answer in answers))))

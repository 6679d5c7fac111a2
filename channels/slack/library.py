"""What Slack's library is told for the whole process."""

from __future__ import annotations

import logging

__all__ = ["tame_library"]


def tame_library() -> None:
    """Let it, and what it builds on, log nothing: addresses hold tickets, and answers hold what people wrote."""
    for name in ("slack_sdk", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

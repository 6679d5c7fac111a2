"""What python-telegram-bot is told for the whole process."""

from __future__ import annotations

import logging
import os

__all__ = ["tame_library"]


def tame_library() -> None:
    """Let it, and what it builds on, log nothing: addresses hold the token, and answers hold what people wrote.

    It also warns about itself wherever a time occurs, unless it is told to give times as `timedelta`.
    """
    for name in ("telegram", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    os.environ["PTB_TIMEDELTA"] = "true"

"""This module sets python-telegram-bot up for the whole process: no logging, and times as `timedelta`."""

from __future__ import annotations

import logging
import os

__all__ = ["tame_library"]


def tame_library() -> None:
    """Switch off the logging of the library and of httpx: their logs would hold the token and what people wrote.

    The library also warns wherever a time occurs, unless it is told to give times as `timedelta`.
    """
    for name in ("telegram", "httpx", "httpcore"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    os.environ["PTB_TIMEDELTA"] = "true"

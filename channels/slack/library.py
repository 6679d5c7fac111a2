"""This module switches off the logging of slack_sdk and aiohttp for the whole process."""

from __future__ import annotations

import logging

__all__ = ["tame_library"]


def tame_library() -> None:
    """Switch the logging of both off: their logs would hold addresses with tickets, and what people wrote."""
    for name in ("slack_sdk", "aiohttp"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)

"""This module defines how a reply is rendered for Telegram, and the limit of 4,096 UTF-16 units on one message."""

from __future__ import annotations

from telegram.constants import MessageLimit

from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, utf16_units

__all__ = ["TELEGRAM"]

TELEGRAM = Dialect(render_markdown, utf16_units, int(MessageLimit.MAX_TEXT_LENGTH))
"""A text takes at most 4,096 UTF-16 units, not counting its marks (https://core.telegram.org/bots/api#sendmessage)."""

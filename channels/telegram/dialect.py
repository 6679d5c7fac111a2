"""What Telegram makes of a reply."""

from __future__ import annotations

from telegram.constants import MessageLimit

from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, utf16_units

__all__ = ["TELEGRAM"]

TELEGRAM = Dialect(render_markdown, utf16_units, int(MessageLimit.MAX_TEXT_LENGTH))
"""Text of at most 4,096 UTF-16 units without its marks (https://core.telegram.org/bots/api#sendmessage)."""

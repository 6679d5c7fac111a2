"""This package is the Telegram channel: it long-polls the Bot API for updates, and sends through it."""

from __future__ import annotations

from channels.telegram.channel import TelegramChannel, open_telegram

__all__ = ["TelegramChannel", "open_telegram"]

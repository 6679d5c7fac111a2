"""Telegram, by its Bot API."""

from __future__ import annotations

from channels.telegram.channel import TelegramChannel, open_telegram

__all__ = ["TelegramChannel", "open_telegram"]

"""This module puts people on Telegram: most in private chats, some in groups where they mention the bot."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Mapping, Sequence

from tests.load.crowd import Fault, Seen, Until
from tests.platforms.telegram_behaviours import drop_before_effect
from tests.platforms.telegram_server import BOT, TOKEN, TelegramServer

FIRST_PERSON = 5_000_000
FIRST_GROUP = -1_000
PER_GROUP = 10
"""Of so many people, those who write in a group share one."""


class OnTelegram:
    """A `Platform`."""

    name = "telegram"

    def __init__(self, server: TelegramServer) -> None:
        """Open nothing: a chat is there once somebody writes in it."""
        self.changed = server.changed
        self.config = (
            f'[channels_config.telegram]\ntoken = "{TOKEN}"\napi_base_url = "{server.base_url}"\n'
            'allowed_users = ["*"]\n'
        )
        self.faults: Mapping[str, Fault] = {"another poller": self._contend, "network loss": self._lose}
        self._server = server
        self._polls = 0

    @property
    def is_connected(self) -> bool:
        """Whether the bot asks for what is written."""
        return any(method == "getUpdates" for method, _ in self._server.calls)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way to the bot."""
        return not self._server.unconfirmed

    def write(self, person: int, text: str) -> Hashable:
        """Let a person write: of five, four in private, one in a group."""
        sender = FIRST_PERSON + person
        if person % 5 < 4:
            self._server.post(text, sender=sender, chat=sender)
            return sender
        group = FIRST_GROUP - person // PER_GROUP
        self._server.post(f"@{BOT['username']} {text}", sender=sender, chat=group)
        return group

    def effects(self, since: int) -> Sequence[Seen]:
        """Return what the bot has shown, and what people have written, which names no answer's end."""
        return [Seen(one.chat, one.text, one.at_seconds) for one in self._server.effects[since:]]

    def screen(self) -> Sequence[Seen]:
        """Return everything that the bot's messages show now."""
        shown = (one for one in self._server.messages.values() if one.from_bot and not one.is_deleted)
        return [Seen(one.chat, one.text, message_id=str(one.message_id)) for one in shown]

    def wrongs(self) -> list[str]:
        """Return what the bot has done that Telegram does not allow."""
        return [*self._server.refusals, *map(str, self._server.violations)]

    async def _contend(self, _seconds: float, _until: Until) -> None:
        """End the poll that waits, as another process with this token does."""
        self._server.updates.end_poll()

    async def _lose(self, seconds: float, _until: Until) -> None:
        """Break every call where it is."""
        usual, self._server.usual = self._server.usual, lambda _method: drop_before_effect()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._server.usual = usual

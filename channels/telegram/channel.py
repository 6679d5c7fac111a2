"""The Telegram channel runs one bot: it calls the Bot API through python-telegram-bot, and polls in its own loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import TypeVar

import structlog
from telegram import Bot, LinkPreviewOptions, MessageEntity
from telegram.constants import ChatAction

from channels.base import Accept, Address, Places, RemoteFile
from channels.errors import ChannelError, ChannelUnavailable, SendFailed
from channels.health import Health
from channels.markup.characters import is_blank
from channels.markup.rich import RichText, plain
from channels.pacing import Rate, Rates
from channels.settings import TelegramSettings
from channels.telegram.attention import Me
from channels.telegram.backoff import Backoff
from channels.telegram.chats import Chats
from channels.telegram.connection import Connection
from channels.telegram.dialect import TELEGRAM
from channels.telegram.downloads import Downloads
from channels.telegram.entities import build_entities
from channels.telegram.faults import ChatClosed, TokenRefused, is_about_marks, is_gone, is_invisible, is_unchanged
from channels.telegram.files import whole
from channels.telegram.menu import list_commands
from channels.telegram.parse import Reader
from channels.telegram.polling import Poller
from channels.telegram.waits import WAITS, Waits
from channels.tools import Tools

__all__ = ["RATES", "TelegramChannel", "open_telegram", "say_unknown"]

log = structlog.get_logger()

RATES = Rates(
    chat=Rate(3, 3.3), group=Rate(20, 61.0), over_all=Rate(30, 1.1), is_group=lambda chat: chat.startswith("-")
)
"""One message a second in a chat, where short bursts pass; 20 a minute in a group; 30 a second over all
(https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this). An edit counts like a message. The
extra tenth of a second, and the extra second in a minute, are for the network: calls that are made in time may arrive
closer together, and a refusal (429) costs a whole second at least.
"""

NOTHING_VISIBLE = "(There is nothing to see in this message.)"
"""Stands for a text that Telegram would refuse as empty."""

GENERAL = 1
"""The topic that every forum has: its messages name no topic, but the typing indicator must."""

# A preview would change the size of a message that grows, and load pages that nobody asked for.
_NO_PREVIEW = LinkPreviewOptions(is_disabled=True)

T = TypeVar("T")


class TelegramChannel:
    """The channel of one Telegram bot. Messages can be sent before and after `run`, too."""

    name = "telegram"
    streams = True
    dialect = TELEGRAM
    rates = RATES
    nonce_seconds = 0.0
    typing_seconds = 5.0
    """The typing indicator lasts 5 seconds or less (Bot API, sendChatAction)."""

    def __init__(self, settings: TelegramSettings, tools: Tools, waits: Waits = WAITS) -> None:
        """Prepare, without a call. Raises ChannelUnavailable for a token of the wrong form."""
        self.health = Health(tools.monotonic, waits.patience_seconds)
        self._settings = settings
        self._commands = tools.commands
        self._waits = waits
        self._chats = Chats()
        self._connection = Connection(settings, waits)
        self._downloads = Downloads(self._connection, tools.monotonic, waits)

    async def run(self, accept: Accept, places: Places) -> None:
        """Receive until cancelled. Raises ChannelUnavailable if Telegram does not know the token at the start."""
        del places  # Telegram keeps updates until they are confirmed
        me = await self._introduce()
        reader = Reader(me, self._settings.groups)
        poller = Poller(self._connection, reader, self._chats, self.health, self._waits)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(list_commands(self._connection, self._commands), name="telegram commands")
            await poller.run(accept, self._tell)

    async def send(self, to: Address, text: RichText, nonce: str) -> str:
        """Send one message and return its id; Telegram takes no nonce."""
        del nonce
        thread = _number(to.thread) if to.thread else None

        async def show(bot: Bot, shown: str, entities: Sequence[MessageEntity]) -> str:
            message = await bot.send_message(
                to.chat, shown, entities=entities, message_thread_id=thread, link_preview_options=_NO_PREVIEW
            )
            return str(message.message_id)

        return await self._show(to.chat, text, show)

    async def edit(self, to: Address, message_id: str, text: RichText) -> None:
        """Replace a message's text; "message is not modified" is no fault."""
        number = _number(message_id)

        async def show(bot: Bot, shown: str, entities: Sequence[MessageEntity]) -> object:
            return await bot.edit_message_text(
                shown, to.chat, number, entities=entities, link_preview_options=_NO_PREVIEW
            )

        try:
            await self._show(to.chat, text, show)
        except SendFailed as fault:
            if not is_unchanged(fault):
                raise

    async def delete(self, to: Address, message_id: str) -> None:
        """Remove a message; one that is gone already is no fault."""
        number = _number(message_id)
        try:
            await self._call(to.chat, lambda bot: bot.delete_message(to.chat, number))
        except SendFailed as fault:
            if not is_gone(fault):
                raise

    async def show_typing(self, to: Address) -> None:
        """Show the typing indicator, for some seconds."""
        general = GENERAL if self._chats.is_forum(to.chat) else None
        thread = _number(to.thread) if to.thread else general
        await self._call(to.chat, lambda bot: bot.send_chat_action(to.chat, ChatAction.TYPING, thread))

    def fetch(self, file: RemoteFile) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes. Raises FetchFailed if it can never be had, Unreachable if a later try may succeed."""
        return self._downloads.fetch(file)

    async def close(self) -> None:
        """Close every connection; nothing can be sent after that. A process that ends need not do it."""
        await self._downloads.close()
        await self._connection.close()

    async def _introduce(self) -> Me:
        """Ask for the bot's id and name, retrying while the network or Telegram cannot be reached."""
        backoff = Backoff(self.health, self._waits)
        while True:
            try:
                user = await self._connection.get_me()
            except TokenRefused as fault:
                raise ChannelUnavailable(say_unknown(self._settings, fault)) from None
            except ChannelError as fault:
                await backoff.sit_out(fault)
            else:
                self.health.greet()
                if self._settings.groups == "all" and not user.can_read_all_group_messages:
                    reason = "the bot's privacy mode is on: turn it off with /setprivacy at @BotFather"
                    log.warning("groups_not_read", channel="telegram", reason=reason)
                log.info("telegram_connected", bot=user.id)
                return Me(user.id, user.username or "")

    async def _show(
        self, chat: str, text: RichText, show: Callable[[Bot, str, Sequence[MessageEntity]], Awaitable[T]]
    ) -> T:
        """Send or edit a text; if Telegram refuses its entities, or calls it empty, try once more in a plainer form."""
        shown = plain(NOTHING_VISIBLE) if is_blank(text.text) else RichText(whole(text.text), text.spans)
        try:
            return await self._call(chat, lambda bot: show(bot, shown.text, build_entities(shown)))
        except SendFailed as fault:
            if is_invisible(fault) and shown.text != NOTHING_VISIBLE:
                plainest = NOTHING_VISIBLE
            elif is_about_marks(fault) and shown.spans:
                plainest = shown.text
            else:
                raise
            log.warning("text_shown_plain", channel="telegram", fault=str(fault))
        self.health.counts["plain"] += 1
        return await self._call(chat, lambda bot: show(bot, plainest, ()))

    async def _call(self, chat: str, call: Callable[[Bot], Awaitable[T]]) -> T:
        """Call Telegram about a chat; one that has shut the bot out is not called again until it is heard from."""
        self._chats.check(chat)
        try:
            return await self._connection.call(call)
        except ChatClosed as fault:
            self._chats.close(chat, str(fault))
            log.warning("chat_closed", channel="telegram", chat=chat, fault=str(fault))
            raise

    async def _tell(self, to: Address, text: str) -> None:
        try:
            await self.send(to, plain(text), "")
        except ChannelError as fault:
            log.warning("sender_not_told", channel="telegram", fault=str(fault))


def open_telegram(settings: TelegramSettings, tools: Tools) -> TelegramChannel:
    """Return the channel of one bot, not yet connected."""
    return TelegramChannel(settings, tools)


def say_unknown(settings: TelegramSettings, fault: TokenRefused) -> str:
    """Return the sentence for a refused token, which says what to change."""
    who = "Telegram does"
    what = "copy it again from @BotFather"
    if settings.api_base_url:
        who = "the server at channels_config.telegram.api_base_url does"
        what += ", or correct the address"
    return f"channels_config.telegram.token: {who} not know this token ({fault}): {what}"


def _number(text: str) -> int:
    """Return an id as the number that Telegram wants."""
    if not text.isascii() or not text.isdigit():
        raise SendFailed(f"Telegram has no id {text!r}")
    return int(text)

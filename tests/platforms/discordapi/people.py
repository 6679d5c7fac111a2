"""This module lets people write, edit, delete and open threads; the bot gets events if it is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypedDict, Unpack

from tests.platforms.discordapi.files import Attachment, Files
from tests.platforms.discordapi.history import History, Shown
from tests.platforms.discordapi.news import News
from tests.platforms.discordapi.places import ADA, BOT, Access, Places
from tests.platforms.discordapi.snowflakes import Snowflakes

REPLY: Final = 19
THREAD_CREATED: Final = 18
"""Stands in a channel where a thread was begun without a message."""
THREAD_STARTER: Final = 21
"""Stands in a thread, and shows the message that it hangs on."""


class Posted(TypedDict, total=False):
    """How something is written; what is left out is as in Ada's direct messages with the bot."""

    channel: int
    """Where; in the author's direct messages, if it is left out."""
    author: int
    reference: int | None
    """The message that it replies to, whose author is notified of it."""
    attachments: Sequence[Attachment]
    mention: bool
    """Begin with a mention of the bot."""
    at: float | None
    """When, in Unix seconds; now, if it is left out."""
    webhook: str
    """Let a webhook write it, under this name; `author` is its id then."""
    kind: int
    """The API's type of message, where it is no ordinary one: 7 tells of a new member."""
    more: Mapping[str, Any]
    """Any further parts of a `Message`."""


class People:
    """Everybody but the bot."""

    def __init__(self, places: Places, history: History, files: Files, news: News, snowflakes: Snowflakes) -> None:
        """Act in these places."""
        self._places = places
        self._history = history
        self._files = files
        self._news = news
        self._snowflakes = snowflakes

    def post(self, text: str = "", **how: Unpack[Posted]) -> int:
        """Let a person write, and return the message's id."""
        author = how.get("author", ADA)
        channel = self._places.channels[how["channel"] if "channel" in how else self._places.open_dm(author)]
        if self._places.wake(channel):
            self._news.channel(channel, "THREAD_UPDATE")
        shown = Shown(self._snowflakes.next(how.get("at")), channel.id, text, author)
        if how.get("mention"):
            shown.text = f"<@{BOT}> {text}"
        shown.files = tuple(self._files.keep(channel.id, each) for each in how.get("attachments", ()))
        shown.reference = how.get("reference")
        shown.kind = how.get("kind", 0 if shown.reference is None else REPLY)
        if shown.reference is not None and shown.kind == REPLY:
            shown.replied_to = self._history.messages[shown.reference].author
        shown.webhook = how.get("webhook", "")
        shown.more = how.get("more", {})
        self._history.add(shown)
        self._news.written(shown)
        return shown.id

    def post_edit(self, message_id: int, text: str) -> None:
        """Let a person change what they wrote."""
        shown = self._history.messages[message_id]
        self._history.edit(shown, text)
        self._news.changed(shown)

    def post_embeds(self, message_id: int, *embeds: Mapping[str, Any]) -> None:
        """Let previews of a message's links appear, which nobody has written: no text and no time of a change."""
        shown = self._history.messages[message_id]
        shown.more = {**shown.more, "embeds": [dict(embed) for embed in embeds]}
        self._news.changed(shown)

    def post_delete(self, message_id: int) -> None:
        """Let a message be deleted by who wrote it, or by who may."""
        shown = self._history.messages[message_id]
        self._history.delete(shown, by_bot=False)
        self._news.removed(shown)

    def post_purge(self, *message_ids: int) -> None:
        """Let messages of one channel be deleted at once, by who may."""
        for message_id in message_ids:
            self._history.delete(self._history.messages[message_id], by_bot=False)
        self._news.purged(self._history.messages[message_ids[0]].channel, message_ids)

    def open_guild(self, name: str = "Guild") -> int:
        """Take the bot into a new guild, and return the guild's id."""
        guild = self._places.add_guild(name)
        self._news.guild(guild)
        return guild.id

    def close_guild(self, guild: int) -> None:
        """Remove the bot from a guild."""
        for channel in [each for each in self._places.channels.values() if each.guild == guild]:
            del self._places.channels[channel.id]
        self._news.left_guild(self._places.guilds.pop(guild))

    def open_channel(self, guild: int, name: str = "general") -> int:
        """Open a channel in a guild, and return its id."""
        channel = self._places.add_channel(guild, name)
        self._news.channel(channel, "CHANNEL_CREATE")
        return channel.id

    def open_thread(self, channel: int, name: str = "thread", *, author: int = ADA, message: int | None = None) -> int:
        """Let a person begin a thread in a channel, on a message of it or by itself, and return its id."""
        thread = self._places.add_thread(channel, name, author, message)
        self._news.thread_began(thread)
        if message is None:
            about = {"channel_id": str(thread.id), "guild_id": str(thread.guild)}
            self.post(name, channel=channel, author=author, kind=THREAD_CREATED, more={"message_reference": about})
        else:
            self.post(channel=thread.id, author=author, kind=THREAD_STARTER, reference=message)
        return thread.id

    def archive(self, thread: int, *, lock: bool = False) -> None:
        """Close a thread: whoever writes opens it again, unless it is locked."""
        archived = self._places.channels[thread]
        archived.is_archived, archived.is_locked = True, lock
        self._news.channel(archived, "THREAD_UPDATE")

    def close_channel(self, channel: int) -> None:
        """Delete a channel."""
        closed = self._places.channels.pop(channel)
        if closed.kind == "thread":
            self._news.thread_deleted(closed)
        else:
            self._news.channel(closed, "CHANNEL_DELETE")

    def restrict(self, channel: int, access: Access) -> None:
        """Set what the bot may do in a guild's channel."""
        restricted = self._places.channels[channel]
        restricted.access = access
        self._news.channel(restricted, "CHANNEL_UPDATE")

    def block(self, person: int = ADA) -> None:
        """Let a person take no more direct messages of the bot."""
        self._places.person(person).takes_messages = False

    def unblock(self, person: int = ADA) -> None:
        """Let a person take them again."""
        self._places.person(person).takes_messages = True

"""This module holds every message of the channels, and writes it as the API does."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from tests.platforms.discordapi.answers import unknown_message
from tests.platforms.discordapi.files import Files, Kept
from tests.platforms.discordapi.mentions import EVERYBODY, mentioned_users, pings
from tests.platforms.discordapi.payloads import write_member, write_user
from tests.platforms.discordapi.places import ADA_DM, BOT, Places
from tests.platforms.discordapi.snowflakes import timestamp_of, write_time

HIDDEN: Final[Mapping[str, Any]] = {"content": "", "attachments": [], "embeds": []}
"""What a bot sees of a message whose content is not for it."""


@dataclass(slots=True)
class Shown:
    """One message: what a person's screen shows now, and what it has shown before."""

    id: int
    channel: int
    text: str
    author: int
    past: list[str] = field(default_factory=list)
    """Its earlier texts."""
    is_deleted: bool = False
    kind: int = 0
    """The API's type of message: 0 is an ordinary one, 19 a reply, 20 the answer to a command."""
    reference: int | None = None
    """What it replies to."""
    files: tuple[Kept, ...] = ()
    edited_at: float | None = None
    webhook: str = ""
    """The name that a webhook gave itself."""
    flags: int = 0
    nonce: str | int | None = None
    allowed: Mapping[str, Any] = field(default_factory=lambda: EVERYBODY)
    """Whom it may ping."""
    replied_to: int | None = None
    """Who wrote what it replies to."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Any further parts of a `Message`."""

    @property
    def from_bot(self) -> bool:
        """Whether the bot under test wrote it."""
        return self.author == BOT

    @property
    def edits(self) -> int:
        """How often it was changed."""
        return len(self.past)

    @property
    def pings(self) -> list[str]:
        """Who was notified of it."""
        return pings(self.text, self.allowed, self.replied_to)

    @property
    def mentions(self) -> list[int]:
        """The people whom it mentions; who is replied to is one of them."""
        replied = [] if self.replied_to is None or not self.allowed.get("replied_user") else [self.replied_to]
        return list(dict.fromkeys([*mentioned_users(self.text), *replied]))


@dataclass(frozen=True, slots=True)
class Effect:
    """Something that changed what people see, in its order."""

    at_seconds: float
    method: str
    """send, edit or delete, where the bot did it; otherwise written, changed or removed."""
    message_id: int
    text: str
    channel: int


@dataclass(frozen=True, slots=True)
class Action:
    """The bot was seen to be typing."""

    at_seconds: float
    channel: int


class History:
    """The messages of all channels, by id: snowflakes are unique everywhere."""

    def __init__(self, places: Places, files: Files, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing; `clock` times what happens."""
        self.messages: dict[int, Shown] = {}
        self.effects: list[Effect] = []
        self.actions: list[Action] = []
        self._places = places
        self._files = files
        self._clock = clock
        self._in: dict[int, list[Shown]] = defaultdict(list)

    def add(self, shown: Shown) -> Shown:
        """Let a message appear."""
        self.messages[shown.id] = shown
        self._in[shown.channel].append(shown)
        self._record("send" if shown.from_bot else "written", shown)
        return shown

    def edit(self, shown: Shown, text: str) -> None:
        """Let a message change."""
        shown.past.append(shown.text)
        shown.text, shown.edited_at = text, time.time()
        self._record("edit" if shown.from_bot else "changed", shown)

    def delete(self, shown: Shown, *, by_bot: bool) -> None:
        """Let a message go."""
        shown.is_deleted = True
        self._record("delete" if by_bot else "removed", shown)

    def act(self, channel: int) -> None:
        """Note that the bot was seen to be typing."""
        self.actions.append(Action(self._clock(), channel))

    def find(self, channel: int, message_id: int) -> Shown:
        """Return a message that is there; raises Refused."""
        shown = self.messages.get(message_id)
        if shown is None or shown.is_deleted or shown.channel != channel:
            raise unknown_message()
        return shown

    def of(self, channel: int) -> list[Shown]:
        """Return what stands in a channel, oldest first."""
        return sorted(self._of(channel), key=lambda shown: shown.id)

    def screen(self, channel: int = ADA_DM) -> list[Shown]:
        """Return what the bot's messages in a channel show now, oldest first."""
        return [shown for shown in self.of(channel) if shown.from_bot]

    def last_of(self, channel: int) -> int | None:
        """Return the id of a channel's newest message."""
        return max((shown.id for shown in self._of(channel)), default=None)

    def is_for_bot(self, shown: Shown) -> bool:
        """Tell whether the bot sees what a message says without being allowed to read what everyone writes."""
        is_direct = self._places.channels[shown.channel].kind == "dm"
        return is_direct or shown.from_bot or BOT in shown.mentions

    def as_message(self, shown: Shown, *, reads_all: bool = True, with_reference: bool = True) -> dict[str, Any]:
        """Return a `Message`, as a bot sees it that may read all, or what is meant for it alone."""
        guild = self._places.channels[shown.channel].guild
        edited = None if shown.edited_at is None else write_time(shown.edited_at)
        message: dict[str, Any] = {
            "id": str(shown.id),
            "channel_id": str(shown.channel),
            "type": shown.kind,
            "content": shown.text,
            "timestamp": timestamp_of(shown.id),
            "edited_timestamp": edited,
            "tts": False,
            "mention_everyone": "@everyone" in shown.pings or "@here" in shown.pings,
            "mentions": [write_user(self._places.person(user)) for user in shown.mentions],
            "mention_roles": [],
            "attachments": [self._files.as_attachment(kept) for kept in shown.files],
            "embeds": [],
            "pinned": False,
            "flags": shown.flags,
            **self._author(shown),
            **shown.more,
        }
        if not reads_all and not self.is_for_bot(shown):
            message |= HIDDEN
        if shown.reference is not None:
            where = self.messages[shown.reference].channel
            reference = {"type": 0, "message_id": str(shown.reference), "channel_id": str(where)}
            message["message_reference"] = reference | ({"guild_id": str(guild)} if guild else {})
            if with_reference:
                message["referenced_message"] = self._referenced(shown.reference, reads_all=reads_all)
        return message

    def as_event(self, shown: Shown, *, reads_all: bool) -> dict[str, Any]:
        """Return a `Message` with what only the gateway adds to it."""
        message = self.as_message(shown, reads_all=reads_all)
        guild = self._places.channels[shown.channel].guild
        if shown.nonce is not None:
            message["nonce"] = shown.nonce
        if guild:
            message["guild_id"] = str(guild)
            if not shown.webhook:
                message["member"] = write_member(self._places.person(shown.author))
        return message

    def _author(self, shown: Shown) -> dict[str, Any]:
        if not shown.webhook:
            return {"author": write_user(self._places.person(shown.author))}
        author = {"id": str(shown.author), "username": shown.webhook, "avatar": None, "discriminator": "0000"}
        return {"author": {**author, "global_name": None, "bot": True}, "webhook_id": str(shown.author)}

    def _referenced(self, message_id: int, *, reads_all: bool) -> dict[str, Any] | None:
        replied = self.messages.get(message_id)
        if replied is None or replied.is_deleted:
            return None
        return self.as_message(replied, reads_all=reads_all, with_reference=False)

    def _of(self, channel: int) -> Iterator[Shown]:
        return (shown for shown in self._in[channel] if not shown.is_deleted)

    def _record(self, method: str, shown: Shown) -> None:
        self.effects.append(Effect(self._clock(), method, shown.id, shown.text, shown.channel))


def texts(shown: Sequence[Shown]) -> list[str]:
    """Return what these messages say."""
    return [message.text for message in shown]

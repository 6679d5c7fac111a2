"""This module holds the people of one workspace, its conversations of every kind, and their members."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tests.platforms.slackapi.answers import Refused

TEAM: Final = "T0AGENTD01"
APP: Final = "A0AGENTD01"
BOT: Final = "U0BOT00001"
"""The bot's user id."""
BOT_ID: Final = "B0BOT00001"
BOT_NAME: Final = "agentd"
ADA: Final = "U0ADA00001"
BOB: Final = "U0BOB00001"
STRANGER_BOT: Final = "U0BOT00002"
"""Another bot's user id."""
DM: Final = "D0ADA00001"
"""The direct messages of Ada and the bot."""
GENERAL: Final = "C0GENERAL1"
PRIVATE: Final = "G0PRIVATE1"

Kind = Literal["im", "channel", "group", "mpim"]
KINDS: Final[dict[str, Kind]] = {"D": "im", "C": "channel", "G": "group"}


@dataclass(slots=True)
class Person:
    """Who writes: a human, unless it is another bot."""

    id: str
    name: str
    real_name: str
    is_bot: bool = False
    team: str = TEAM
    """The workspace that it belongs to; another's people come by Slack Connect."""

    def as_user(self) -> dict[str, Any]:
        """Return a user as `users.info` does (https://docs.slack.dev/reference/objects/user-object)."""
        profile = {
            "real_name": self.real_name,
            "real_name_normalized": self.real_name,
            "display_name": self.name,
            "display_name_normalized": self.name,
            "team": self.team,
        }
        return {
            "id": self.id,
            "team_id": self.team,
            "name": self.name,
            "deleted": False,
            "real_name": self.real_name,
            "tz": "Europe/London",
            "profile": profile,
            "is_admin": False,
            "is_bot": self.is_bot,
            "is_app_user": False,
            "updated": 1_700_000_000,
        }


@dataclass(slots=True)
class Conversation:
    """One conversation; direct messages are of one person and the bot."""

    id: str
    kind: Kind
    name: str = ""
    members: set[str] = field(default_factory=set)
    is_archived: bool = False

    def check_access(self) -> None:
        """Raise Refused where the bot cannot speak."""
        if self.is_archived:
            raise Refused("is_archived")
        if BOT not in self.members:
            raise Refused("not_in_channel" if self.kind == "channel" else "channel_not_found")

    def as_channel(self) -> dict[str, Any]:
        """Return a conversation (https://docs.slack.dev/reference/objects/conversation-object)."""
        shared = {"id": self.id, "created": 1_700_000_000, "is_archived": self.is_archived, "context_team_id": TEAM}
        if self.kind == "im":
            (person,) = self.members - {BOT}
            return {**shared, "is_im": True, "is_org_shared": False, "user": person, "priority": 0}
        flags = {
            "is_channel": self.kind == "channel",
            "is_group": self.kind == "group",
            "is_im": False,
            "is_mpim": self.kind == "mpim",
            "is_private": self.kind != "channel",
            "is_member": BOT in self.members,
        }
        return {**shared, "name": self.name, "name_normalized": self.name, **flags, "creator": ADA, "num_members": 2}


class Workspace:
    """All of them, known by being there from the start or by being opened."""

    def __init__(self) -> None:
        """Begin with Ada, Bob, the bot, another bot, and a public and a private channel that all are in."""
        self.people: dict[str, Person] = {}
        self.conversations: dict[str, Conversation] = {}
        self.name_person(ADA, "ada", "Ada Lovelace")
        self.name_person(BOB, "bob", "Bob Kahn")
        self.name_person(BOT, BOT_NAME, "Agentd", is_bot=True)
        self.name_person(STRANGER_BOT, "reminder", "Reminder", is_bot=True)
        self.open_channel(GENERAL, "general")
        self.open_channel(PRIVATE, "private")
        self.dm_of(ADA)
        self._last_ts = 0

    def name_person(self, person: str, name: str, real_name: str = "", *, is_bot: bool = False) -> Person:
        """Name a person, from here on; `is_bot` makes it another bot."""
        self.people[person] = Person(person, name, real_name or name, is_bot)
        return self.people[person]

    def person(self, person: str) -> Person:
        """Return a person, with a name made up if nobody has given one."""
        return self.people.get(person) or self.name_person(person, person.lower())

    def dm_of(self, person: str) -> str:
        """Return the id of a person's direct messages with the bot."""
        self.person(person)
        dm = f"D{person[1:]}"
        self.conversations.setdefault(dm, Conversation(dm, "im", members={person, BOT}))
        return dm

    def open_channel(self, channel: str, name: str = "", *, kind: Kind | None = None) -> Conversation:
        """Return a channel that Ada, Bob and the bot are in, a new one if it is not known; its kind shows in its id."""
        if channel not in self.conversations:
            made = Conversation(channel, kind or KINDS[channel[0]], name or channel.lower(), {ADA, BOB, BOT})
            self.conversations[channel] = made
        return self.conversations[channel]

    def find(self, channel: str) -> Conversation:
        """Return a conversation that the bot may speak in, by its id or a person's; raises Refused."""
        if channel in self.people and channel != BOT:
            channel = self.dm_of(channel)
        if channel not in self.conversations:
            raise Refused("channel_not_found")
        self.conversations[channel].check_access()
        return self.conversations[channel]

    def next_ts(self, at: float | None = None) -> str:
        """Return the time of a message, which is its id, unlike any other; `at` is in seconds, now if left out."""
        micros = round((time.time() if at is None else at) * 1_000_000)
        if at is None:
            micros = self._last_ts = max(micros, self._last_ts + 1)
        return f"{micros // 1_000_000}.{micros % 1_000_000:06}"

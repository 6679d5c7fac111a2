"""This module puts the crowd on Discord: most in direct messages, some in a server's channels and threads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable, Mapping, Sequence
from contextlib import asynccontextmanager

from tests.load.crowd import Fault, Seen, Until
from tests.platforms.discord_behaviours import delayed
from tests.platforms.discord_server import EDIT, SEND, TOKEN, DiscordServer, dm_of

ANSWER_SECONDS = 0.03
"""How long a call's answer is on its way: the calls whose answer a loss swallows are in doubt."""
FIRST_PERSON = 710_000_000_000_000_000


class OnDiscord:
    """A `Platform`."""

    name = "discord"

    def __init__(self, server: DiscordServer, people: int) -> None:
        """Open every place where somebody will write."""
        self.changed = server.changed
        self.config = (
            f'[channels_config.discord]\ntoken = "{TOKEN}"\napi_base_url = "{server.base_url}"\n'
            f'gateway_url = "{server.gateway_url}"\nallowed_users = ["*"]\n'
        )
        self.faults: Mapping[str, Fault] = {
            "reconnect (op 7)": self._reconnect,
            "gateway drop": self._drop,
            "network loss": self._lose,
            "session void (op 9)": self._invalidate,
        }
        self._server = server
        self._guild = server.open_guild()
        self._places = [self._open(person) for person in range(people)]
        server.usual = dict.fromkeys((SEND, EDIT), delayed(ANSWER_SECONDS)).get

    @property
    def is_connected(self) -> bool:
        """Whether the bot hears what is written."""
        return self._server.gateway.is_connected

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is on its way to the bot: the gateway tells nothing twice."""
        return True

    def write(self, person: int, text: str) -> Hashable:
        """Let a person write, in a server with a mention of the bot."""
        channel = self._places[person]
        mention = channel != dm_of(FIRST_PERSON + person)
        self._server.post(text, channel=channel, author=FIRST_PERSON + person, mention=mention)
        return channel

    def effects(self, since: int) -> Sequence[Seen]:
        """Return what the bot has shown, and what people have written, which names no answer's end."""
        effects = self._server.effects[since:]
        return [Seen(effect.channel, effect.text, effect.at_seconds) for effect in effects]

    def screen(self) -> Sequence[Seen]:
        """Return everything that the bot's messages show now."""
        shown = (one for one in self._server.messages.values() if one.from_bot and not one.is_deleted)
        return [Seen(one.channel, one.text, message_id=str(one.id)) for one in shown]

    def wrongs(self) -> list[str]:
        """Return what the bot has done that Discord does not allow."""
        return [*self._server.refusals, *map(str, self._server.violations)]

    def _open(self, person: int) -> int:
        """Of ten people, six write directly, two in one channel of the server, and two in threads."""
        author = FIRST_PERSON + person
        if person % 5 < 3:
            return self._server.open_dm(author)
        if person % 5 == 3:
            return self._shared(person)
        return self._server.open_thread(self._shared(person), author=author)

    def _shared(self, person: int) -> int:
        """Return a channel that two people share."""
        name = f"room-{person % 5}-{person // 10}"
        found = (channel.id for channel in self._server.places.channels.values() if channel.name == name)
        return next(found, None) or self._server.open_channel(self._guild, name)

    async def _reconnect(self, _seconds: float, _until: Until) -> None:
        self._server.gateway.reconnect()

    async def _drop(self, _seconds: float, _until: Until) -> None:
        self._server.gateway.drop()

    async def _invalidate(self, _seconds: float, until: Until) -> None:
        """Void the session: what is written until the next one is there comes from nowhere but the histories."""
        sessions = len(self._server.gateway.identified)
        self._server.gateway.invalidate(can_resume=False)
        await until(lambda: len(self._server.gateway.identified) > sessions)

    async def _lose(self, seconds: float, _until: Until) -> None:
        async with self._server.unreachable():
            await asyncio.sleep(seconds)


@asynccontextmanager
async def open_discord(people: int, _again: Sequence[float]) -> AsyncIterator[OnDiscord]:
    """Open a Discord for so many people; it tells nothing again by itself."""
    async with DiscordServer() as server:
        yield OnDiscord(server, people)

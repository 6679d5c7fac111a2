"""This module holds a bot's slash commands: https://discord.com/developers/docs/interactions/application-commands."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.platforms.discordapi.answers import invalid_form, outside
from tests.platforms.discordapi.description import faults
from tests.platforms.discordapi.library import described
from tests.platforms.discordapi.places import BOT
from tests.platforms.discordapi.snowflakes import Snowflakes

MOST_COMMANDS: Final = 100
MOST_DESCRIPTION: Final = 100
NAME: Final = re.compile(r"[-_'\w]{1,32}")

STRING: Final = 3
"""The type of an option that is text."""


class Commands:
    """All of them, by name."""

    def __init__(self, snowflakes: Snowflakes) -> None:
        """Begin with none."""
        self._snowflakes = snowflakes
        self._by_name: dict[str, dict[str, Any]] = {}

    @property
    def names(self) -> list[str]:
        """The names, as they were registered."""
        return list(self._by_name)

    @property
    def all(self) -> list[dict[str, Any]]:
        """The commands, as the API writes them."""
        return list(self._by_name.values())

    def replace(self, commands: Sequence[Mapping[str, Any]]) -> None:
        """Let these be the commands; those whose names stay keep their ids. Raises Outside."""
        if len(commands) > MOST_COMMANDS:
            raise invalid_form((), "BASE_TYPE_MAX_LENGTH", f"Must be {MOST_COMMANDS} or fewer in length.")
        for number, command in enumerate(commands):
            check_described(command, (str(number),))
        if len({command["name"] for command in commands}) < len(commands):
            raise invalid_form((), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        before, self._by_name = self._by_name, {}
        for command in commands:
            known = before.get(command["name"], {"id": str(self._snowflakes.next())})
            self._by_name[command["name"]] = self._write(command, known["id"])

    def choose(self, name: str, options: Mapping[str, object]) -> dict[str, Any]:
        """Return what a client sends when a person picks a command; raises LookupError where it is not registered."""
        command = self._by_name[name]
        types = {option["name"]: option["type"] for option in command.get("options", [])}
        chosen = [{"name": option, "type": types[option], "value": value} for option, value in options.items()]
        written: dict[str, Any] = {"id": command["id"], "name": name, "type": 1}
        return written | ({"options": chosen} if chosen else {})

    def _write(self, command: Mapping[str, Any], command_id: str) -> dict[str, Any]:
        usual = {"nsfw": False, "dm_permission": True, "default_member_permissions": None}
        given = {name: value for name, value in command.items() if value is not None}
        return {
            "contexts": [0, 1, 2],
            "integration_types": [0],
            "type": 1,
            **usual,
            **given,
            "id": command_id,
            "application_id": str(BOT),
            "version": str(self._snowflakes.next()),
        }


def check_described(thing: Mapping[str, Any], where: tuple[str, ...]) -> None:
    """Check the name and description of a command, and of its options; raises Outside."""
    name = thing["name"]
    if not NAME.fullmatch(name) or name != name.lower():
        raise invalid_form((*where, "name"), "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if not 1 <= len(thing["description"]) <= MOST_DESCRIPTION:
        words = f"Must be between 1 and {MOST_DESCRIPTION} in length."
        raise invalid_form((*where, "description"), "BASE_TYPE_BAD_LENGTH", words)
    for number, option in enumerate(thing.get("options", [])):
        for fault in faults(described("command.ApplicationCommandOption"), option):
            raise outside(400, "Invalid Form Body", f"options.{number}.{fault}", 50035)
        check_described(option, (*where, "options", str(number)))

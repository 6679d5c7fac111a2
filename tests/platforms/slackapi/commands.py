"""This module lets people use slash commands, and shows them what the app answers
(https://docs.slack.dev/interactivity/implementing-slash-commands).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from tests.platforms.slackapi.answers import Outside
from tests.platforms.slackapi.blocks import read_blocks
from tests.platforms.slackapi.deliveries import Deliveries, Delivery
from tests.platforms.slackapi.workspace import ADA, APP, TEAM, Workspace

MOST_ANSWERS: Final = 5
"""Uses of one `response_url`, within 30 minutes."""
OF_ACKS: Final = frozenset({"text", "blocks", "response_type", "attachments"})
OF_ANSWERS: Final = OF_ACKS | {"replace_original", "delete_original", "thread_ts"}
TYPES: Final = frozenset({"ephemeral", "in_channel"})


@dataclass(slots=True, eq=False)
class Command:
    """One command, and what came of it."""

    delivery: Delivery
    trigger_id: str
    answers: list[Mapping[str, Any]] = field(default_factory=list)
    """What came by its `response_url`."""

    @property
    def has_failed(self) -> bool:
        """Whether the person was told that the app did not respond."""
        return self.delivery.state == "given up"

    @property
    def said(self) -> list[str]:
        """What the person sees, in its order."""
        acked = [self.delivery.answer] if self.delivery.answer else []
        return [str(answer.get("text", "")) for answer in (*acked, *self.answers)]


class Commands:
    """All that were given."""

    def __init__(self, workspace: Workspace, deliveries: Deliveries, refuse: Callable[[str], None]) -> None:
        """Deliver them so; `refuse` notes what an answer must not be."""
        self.registered = {"/agentd"}
        """The commands that the app has in its settings."""
        self.all: list[Command] = []
        self.base_url = ""
        self._workspace = workspace
        self._deliveries = deliveries
        self._refuse = refuse
        self._numbers = itertools.count(1)

    def give(self, name: str, text: str = "", *, author: str = ADA, channel: str | None = None) -> Command:
        """Let a person give a command, outside of threads: nobody can give one of an app's inside one."""
        if name not in self.registered:
            raise LookupError(f"the app has no command {name}")
        place = self._workspace.conversations[channel or self._workspace.dm_of(author)]
        number = next(self._numbers)
        trigger_id = f"{number}.2000.planted{number:06}"
        payload = {
            "token": "planted-verification",
            "team_id": TEAM,
            "team_domain": "agentd-tests",
            "channel_id": place.id,
            "channel_name": "directmessage" if place.kind == "im" else place.name,
            "user_id": author,
            "user_name": self._workspace.person(author).name,
            "command": name,
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": f"{self.base_url}/commands/{TEAM}/{number}",
            "trigger_id": trigger_id,
        }
        command = Command(self._deliveries.offer("slash_commands", payload), trigger_id)
        self.all.append(command)
        return command

    def answer(self, number: int, body: str) -> str | None:
        """Take an answer by `response_url`; returns why it is not taken."""
        if not 1 <= number <= len(self.all):
            return "expired_url"
        command = self.all[number - 1]
        if len(command.answers) >= MOST_ANSWERS:
            self._refuse("response_url: used more than five times")
            return "used_url"
        try:
            command.answers.append(_read_answer(body))
        except Outside as outside:
            self._refuse(f"response_url: {outside.sentence}")
            return outside.error
        return None


def _read_answer(body: str) -> Mapping[str, Any]:
    try:
        said = json.loads(body)
    except ValueError as fault:
        raise Outside("invalid_payload", "an answer is JSON") from fault
    if not isinstance(said, dict) or said.keys() - OF_ANSWERS or said.get("response_type", "ephemeral") not in TYPES:
        raise Outside("invalid_payload", f"an answer must not be {body[:80]}")
    read_blocks(said.get("blocks", []))
    return said

"""This module holds assistant threads: direct messages where the app shows a status, a title and prompts
(https://docs.slack.dev/ai/developing-ai-apps).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.platforms.slackapi.answers import Outside, Params, Refused
from tests.platforms.slackapi.history import History, Shown
from tests.platforms.slackapi.people import People
from tests.platforms.slackapi.workspace import ADA, BOT, GENERAL, TEAM, Workspace

MOST_PROMPTS: Final = 4
"""https://docs.slack.dev/reference/methods/assistant.threads.setSuggestedPrompts"""
MOST_LOADING: Final = 10
"""https://docs.slack.dev/reference/methods/assistant.threads.setStatus"""
NEW: Final = "New Assistant Thread"

Place = tuple[str, str]
"""A conversation, and the ts of a thread's root."""


class Assistant:
    """What people see of the app as an assistant."""

    def __init__(self, workspace: Workspace, history: History, people: People) -> None:
        """Begin with no threads."""
        self.titles: dict[Place, str] = {}
        self.prompts: dict[Place, Sequence[Mapping[str, str]]] = {}
        self._workspace = workspace
        self._history = history
        self._people = people

    def open_thread(self, author: str = ADA, *, looking_at: str = GENERAL) -> str:
        """Let a person open the assistant, and return the thread's ts: its root is a message of the bot's."""
        channel = self._workspace.dm_of(author)
        root = Shown(self._workspace.next_ts(), channel, NEW, BOT, subtype="assistant_app_thread")
        root.content = {"assistant_app_thread": {"title": NEW, "title_blocks": [], "artifacts": []}}
        self._history.add(root)
        self._people.tell_own(root)
        self._tell("assistant_thread_started", root, author, looking_at)
        return root.ts

    def look_at(self, thread: str, channel: str, *, author: str = ADA) -> None:
        """Let a person turn to a channel while an assistant thread is open beside it."""
        root = self._history.find(self._workspace.dm_of(author), thread)
        self._tell("assistant_thread_context_changed", root, author, channel)

    def perform(self, method: str, params: Params) -> None:
        """Let a call have its effect; raises Refused."""
        channel = self._workspace.find(params["channel_id"])
        root = self._history.find_root(channel.id, params["thread_ts"], "invalid_thread_ts")
        if method == "assistant.threads.setStatus":
            if len(params.get("loading_messages", ())) > MOST_LOADING:
                raise Outside("invalid_arguments", f"no more than {MOST_LOADING} loading messages")
            self._history.note_status(channel.id, root.ts, params["status"])
            return
        if channel.kind != "im":
            raise Refused("channel_type_not_supported")
        if method == "assistant.threads.setTitle":
            self._set_title(root, params["title"])
            return
        self.prompts[channel.id, root.ts] = _read_prompts(params["prompts"])

    def _set_title(self, root: Shown, title: str) -> None:
        before = self._history.as_message(root)
        self.titles[root.channel, root.ts] = title
        if root.subtype == "assistant_app_thread":
            root.content = {"assistant_app_thread": {**root.content["assistant_app_thread"], "title": title}}
            self._people.tell_changed(root, before)

    def _tell(self, kind: str, root: Shown, author: str, looking_at: str) -> None:
        context = {"channel_id": looking_at, "team_id": TEAM, "enterprise_id": None}
        thread = {"user_id": author, "context": context, "channel_id": root.channel, "thread_ts": root.ts}
        self._people.push({"type": kind, "assistant_thread": thread, "event_ts": self._workspace.next_ts()})


def _read_prompts(sent: Sequence[Any]) -> Sequence[Mapping[str, str]]:
    if not 1 <= len(sent) <= MOST_PROMPTS:
        raise Outside("invalid_arguments", f"1 to {MOST_PROMPTS} prompts, not {len(sent)}")
    for prompt in sent:
        if not isinstance(prompt, dict) or prompt.keys() != {"title", "message"} or not all(prompt.values()):
            raise Outside("invalid_arguments", "a prompt has a title and a message")
    return sent

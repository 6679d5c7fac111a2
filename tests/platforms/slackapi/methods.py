"""This module implements the Web API's methods: their effect in the workspace, and what they return."""

from __future__ import annotations

import base64
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from tests.platforms.slackapi.answers import Outside, Params, Refused
from tests.platforms.slackapi.assistant import Assistant
from tests.platforms.slackapi.blocks import Block, pings_of, read_blocks
from tests.platforms.slackapi.files import Files
from tests.platforms.slackapi.history import History, Shown
from tests.platforms.slackapi.people import People
from tests.platforms.slackapi.workspace import BOT, BOT_ID, BOT_NAME, TEAM, Workspace

MOST_POSTED: Final = 40_000
"""Characters of a text that is posted (https://docs.slack.dev/reference/methods/chat.postMessage)."""

MOST_UPDATED: Final = 4_000
"""Bytes of the text of an edit, counted when `&`, `<` and `>` are escaped; blocks have their own limit
(https://gitlab.com/gitlab-org/gitlab/-/merge_requests/258898)."""

MOST_A_PAGE: Final = {True: (100, 999), False: (1_000, 1_000)}
"""Messages of a history and of a thread, where nothing else is asked for and at most (the methods' pages)."""

UNSEEN: Final = frozenset({"unfurl_links", "unfurl_media", "mrkdwn", "parse"})
"""Arguments that are right and change nothing that this server shows."""
PAGED: Final = frozenset({"channel", "cursor", "inclusive", "latest", "limit", "oldest"})

IN_THREAD: Final = frozenset({"channel_id", "thread_ts"})

UNDERSTOOD: Final = {
    "auth.test": frozenset[str](),
    "chat.postMessage": frozenset({"channel", "text", "blocks", "thread_ts"}) | UNSEEN,
    "chat.update": frozenset({"channel", "ts", "text", "blocks", "parse"}),
    "chat.delete": frozenset({"channel", "ts"}),
    "conversations.history": PAGED,
    "conversations.replies": PAGED | {"ts"},
    "conversations.info": frozenset({"channel"}),
    "conversations.open": frozenset({"users", "channel", "return_im"}),
    "users.info": frozenset({"user"}),
    "files.info": frozenset({"file"}),
    "assistant.threads.setStatus": IN_THREAD | {"status", "loading_messages"},
    "assistant.threads.setTitle": IN_THREAD | {"title"},
    "assistant.threads.setSuggestedPrompts": IN_THREAD | {"title", "prompts"},
}
"""The methods that this server has, and their arguments that it acts on."""


def check_understood(method: str, params: Params) -> None:
    """Raise Outside where the description knows a method or an argument, and this server does not."""
    if method not in UNDERSTOOD:
        raise Outside("unknown_method", f"the tests' Slack has no {method}")
    for name in params:
        if name not in UNDERSTOOD[method]:
            raise Outside("invalid_arguments", f"the tests' Slack does not understand {name} of {method}")


class Methods:
    """All of them."""

    def __init__(
        self, workspace: Workspace, history: History, people: People, files: Files, assistant: Assistant
    ) -> None:
        """Act in this workspace."""
        self.pings: list[str] = []
        """The mentions in what the bot has written: each would make somebody's phone ring."""
        self._workspace = workspace
        self._history = history
        self._people = people
        self._files = files
        self._assistant = assistant
        self.edit_window_seconds: float | None = None
        """How long messages may be changed, by the workspace's settings."""

    def perform(self, method: str, params: Params) -> dict[str, Any]:
        """Let a call have its effect; raises Refused."""
        match method:
            case "chat.postMessage":
                return self._post(params)
            case "chat.update":
                return self._update(params)
            case "chat.delete":
                return self._delete(params)
            case "conversations.history":
                return self._read_history(params)
            case "conversations.replies":
                return self._read_replies(params)
            case _ if method.startswith("assistant."):
                self._assistant.perform(method, params)
                return {}
            case _:
                return self._tell(method, params)

    def _tell(self, method: str, params: Params) -> dict[str, Any]:
        match method:
            case "auth.test":
                return {
                    "url": "https://agentd-tests.slack.com/",
                    "team": "Agentd Tests",
                    "user": BOT_NAME,
                    "team_id": TEAM,
                    "user_id": BOT,
                    "bot_id": BOT_ID,
                    "is_enterprise_install": False,
                }
            case "users.info":
                if params["user"] not in self._workspace.people:
                    raise Refused("user_not_found")
                return {"user": self._workspace.people[params["user"]].as_user()}
            case "conversations.info":
                return {"channel": self._workspace.find(params["channel"]).as_channel()}
            case "conversations.open":
                return self._open(params)
            case "files.info":
                return {"file": self._files.as_file(params["file"]), "comments": [], "content": ""}
            case _:
                raise Refused("unknown_method", {"req_method": method})

    def _post(self, params: Params) -> dict[str, Any]:
        text, blocks = self._read_words(params)
        if len(text) > MOST_POSTED:
            raise Outside("msg_too_long", f"a text of {len(text)} characters")
        channel = self._workspace.find(params["channel"]).id
        shown = Shown(self._workspace.next_ts(), channel, text, BOT, self._read_thread(channel, params), blocks)
        self._history.add(shown)
        if shown.thread is not None:
            self._history.note_status(channel, shown.thread, "")
        self._people.tell_own(shown)
        return {"channel": channel, "ts": shown.ts, "message": self._history.as_message(shown)}

    def _read_thread(self, channel: str, params: Params) -> str | None:
        if "thread_ts" not in params:
            return None
        root = self._history.find_root(channel, params["thread_ts"])
        if root.ts != params["thread_ts"]:
            raise Outside("cannot_reply_to_message", f"thread_ts {params['thread_ts']} is a reply, not a root")
        return root.ts

    def _update(self, params: Params) -> dict[str, Any]:
        text, blocks = self._read_words(params)
        if (size := _escaped_bytes(text)) > MOST_UPDATED:
            raise Outside("msg_too_long", f"a text of {size} bytes, where an edit takes {MOST_UPDATED}")
        shown = self._history.find(self._workspace.find(params["channel"]).id, params["ts"])
        if not shown.from_bot:
            raise Refused("cant_update_message")
        if self.edit_window_seconds is not None and time.time() - float(shown.ts) > self.edit_window_seconds:
            raise Refused("edit_window_closed")
        before = self._history.as_message(shown)
        self._history.edit(shown, text, blocks)
        self._people.tell_changed(shown, before)
        message = self._history.as_message(shown)
        return {"channel": shown.channel, "ts": shown.ts, "text": text, "message": message}

    def _delete(self, params: Params) -> dict[str, Any]:
        shown = self._history.find(self._workspace.find(params["channel"]).id, params["ts"])
        if not shown.from_bot:
            raise Refused("cant_delete_message")
        self._people.take_back(shown)
        return {"channel": shown.channel, "ts": shown.ts}

    def _read_words(self, params: Params) -> tuple[str, Sequence[Block]]:
        text, blocks = str(params.get("text", "")), read_blocks(params.get("blocks", []))
        if not text.strip() and not blocks:
            raise Refused("no_text")
        self.pings.extend(pings_of(text, blocks))
        return text, blocks

    def _open(self, params: Params) -> dict[str, Any]:
        if "channel" in params:
            return {"channel": {"id": self._workspace.find(params["channel"]).id}}
        if "users" not in params:
            raise Outside("users_list_not_supplied", "conversations.open needs users or a channel")
        users = params["users"].split(",") if isinstance(params["users"], str) else params["users"]
        if len(users) != 1:
            raise Outside("invalid_arguments", "the tests' Slack opens direct messages of one person")
        if users[0] not in self._workspace.people:
            raise Refused("user_not_found")
        return {"channel": {"id": self._workspace.dm_of(users[0])}}

    def _read_history(self, params: Params) -> dict[str, Any]:
        channel = self._workspace.find(params["channel"])
        return self._page(self._history.top_level(channel.id), params, is_newest_first=True)

    def _read_replies(self, params: Params) -> dict[str, Any]:
        channel = self._workspace.find(params["channel"])
        root = self._history.find_root(channel.id, params["ts"])
        page = self._page(self._history.replies(root), params, is_newest_first=False)
        page["messages"].insert(0, self._history.as_message(root))
        return page

    def _page(self, shown: Sequence[Shown], params: Params, *, is_newest_first: bool) -> dict[str, Any]:
        """Return a part of these messages, which come oldest first.

        With `oldest` and no `latest`, it is the part next to `oldest`; else the newest of a history, and always the
        oldest of a thread (https://docs.slack.dev/apis/web-api/pagination).
        """
        oldest, latest = _read_ts(params, "oldest"), _read_ts(params, "latest")
        ends = (oldest, latest) if params.get("inclusive") else ()
        within = [one for one in shown if _is_within(float(one.ts), oldest, latest) or float(one.ts) in ends]
        is_forward = not is_newest_first or ("oldest" in params and "latest" not in params)
        ordered = within if is_forward else within[::-1]
        if "cursor" in params:
            at = _read_cursor(params["cursor"])
            ordered = [one for one in ordered if _is_beyond(one.ts, at, is_forward=is_forward)]
        usual, most = MOST_A_PAGE[is_newest_first]
        limit = _read_limit(params.get("limit", usual), most)
        page = ordered[:limit]
        has_more = len(ordered) > limit
        messages = [self._history.as_message(one) for one in page]
        if is_newest_first and is_forward:
            messages.reverse()
        answer: dict[str, Any] = {"messages": messages, "has_more": has_more}
        if has_more:
            answer["response_metadata"] = {"next_cursor": base64.b64encode(f"next_ts:{page[-1].ts}".encode()).decode()}
        return answer


def _escaped_bytes(text: str) -> int:
    escaped = re.sub(r"&(?!(?:amp|lt|gt);)", "&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
    return len(escaped.encode())


def _is_within(at: float, oldest: float | None, latest: float | None) -> bool:
    return (oldest is None or at > oldest) and (latest is None or at < latest)


def _read_ts(params: Mapping[str, Any], name: str) -> float | None:
    if name not in params:
        return None
    try:
        return float(params[name])
    except ValueError as fault:
        raise Outside(f"invalid_ts_{name}", f"{params[name]!r} is no ts") from fault


def _is_beyond(ts: str, cursor: float, *, is_forward: bool) -> bool:
    return float(ts) > cursor if is_forward else float(ts) < cursor


def _read_cursor(cursor: str) -> float:
    try:
        return float(base64.b64decode(cursor).decode().removeprefix("next_ts:"))
    except ValueError as fault:
        raise Outside("invalid_cursor", f"{cursor!r} is no cursor") from fault


def _read_limit(limit: int, most: int) -> int:
    if not 1 <= limit <= most:
        raise Outside("invalid_limit", f"limit must be 1 to {most}, not {limit}")
    return limit

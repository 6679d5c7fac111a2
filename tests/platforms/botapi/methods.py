"""This module implements the Bot API's methods: their effect in the chats, and what they return."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from typing import Any, Final

from tests.platforms.botapi.answers import Outside, Params, Refused, bad_request
from tests.platforms.botapi.chats import BOT, Chats
from tests.platforms.botapi.entities import Entity
from tests.platforms.botapi.history import History, Shown
from tests.platforms.botapi.media import Files
from tests.platforms.botapi.people import People
from tests.platforms.botapi.texts import Text, read_text
from tests.platforms.botapi.updates import UpdateQueue

UNSEEN: Final = frozenset(
    {"disable_notification", "protect_content", "link_preview_options", "language_code", "drop_pending_updates"}
)
"""Parameters that are right and change nothing that this server shows."""

UNDERSTOOD: Final = {
    "getMe": frozenset[str](),
    "getUpdates": frozenset({"offset", "limit", "timeout", "allowed_updates"}),
    "getFile": frozenset({"file_id"}),
    "getWebhookInfo": frozenset[str](),
    "deleteWebhook": UNSEEN,
    "getMyCommands": frozenset({"scope", "language_code"}),
    "setMyCommands": frozenset({"commands", "scope", "language_code"}),
    "deleteMyCommands": frozenset({"scope", "language_code"}),
    "sendMessage": frozenset({"chat_id", "message_thread_id", "text", "entities", "reply_parameters"}) | UNSEEN,
    "editMessageText": frozenset({"chat_id", "message_id", "text", "entities"}) | UNSEEN,
    "deleteMessage": frozenset({"chat_id", "message_id"}),
    "sendChatAction": frozenset({"chat_id", "message_thread_id", "action"}),
}
"""The methods that this server has, and their parameters that it acts on."""

MESSAGES: Final = frozenset({"sendMessage", "editMessageText"})
"""What counts against the rates."""

ACTIONS: Final = frozenset(
    {"typing", "choose_sticker", "find_location"}
    | {f"{verb}_{what}" for verb in ("record", "upload") for what in ("video", "voice", "video_note")}
    | {"upload_photo", "upload_document"}
)
MOST_COMMANDS: Final = 100


def check_understood(method: str, params: Params) -> None:
    """Raise Outside where the description knows a method or a parameter, and this server does not."""
    if method not in UNDERSTOOD:
        raise Outside(400, f"Bad Request: the tests' Telegram has no {method}")
    for name in params:
        if name not in UNDERSTOOD[method]:
            raise Outside(400, f"Bad Request: the tests' Telegram does not understand {name} of {method}")


class Methods:
    """All of them."""

    def __init__(self, chats: Chats, history: History, updates: UpdateQueue, files: Files, people: People) -> None:
        """Act in these chats."""
        self.dropped: list[Entity] = []
        """Entities that were sent, and that the real server leaves out because they do not fit together."""
        self.commands: dict[str, list[dict[str, Any]]] = {}
        """By their scope and language, as JSON; the usual scope is `{}`."""
        self._chats = chats
        self._history = history
        self._updates = updates
        self._files = files
        self._people = people

    async def perform(self, method: str, params: Params) -> object:
        """Let a call have its effect; raises Refused."""
        match method:
            case "getUpdates":
                self._updates.allow(params.get("allowed_updates"))
                asked = (params.get("offset", 0), params.get("limit", 100), params.get("timeout", 0))
                return await self._updates.poll(*asked)
            case "sendMessage":
                return self._send(params)
            case "editMessageText":
                return self._edit(params)
            case "deleteMessage":
                return self._delete(params)
            case "sendChatAction":
                return self._act(params)
            case _:
                return self._answer(method, params)

    def _answer(self, method: str, params: Params) -> object:
        match method:
            case "getMe":
                return self._describe_bot()
            case "getFile":
                file = self._files.find(params["file_id"])
                return {**file.as_file(), "file_path": file.path}
            case "deleteWebhook":
                self._updates.webhook = ""
                if params.get("drop_pending_updates"):
                    self._updates.drop()
                return True
            case "getWebhookInfo":
                waiting = len(self._updates.unconfirmed)
                return {
                    "url": self._updates.webhook,
                    "has_custom_certificate": False,
                    "pending_update_count": waiting,
                }
            case "getMyCommands":
                return self.commands.get(_scope(params), [])
            case "setMyCommands" | "deleteMyCommands":
                self.commands[_scope(params)] = _read_commands(params.get("commands", []))
                return True
            case _:
                raise Refused(404, "Not Found: method not found")

    def _describe_bot(self) -> dict[str, Any]:
        abilities = {
            "can_join_groups": True,
            "can_read_all_group_messages": self._people.reads_all,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
        }
        return {**BOT, **abilities}

    def _send(self, params: Params) -> dict[str, Any]:
        text = self._read_text(params)
        chat = self._chats.find(params["chat_id"])
        thread = self._chats.check_thread(chat, params.get("message_thread_id"))
        reply_to = self._find_replied(chat.id, params.get("reply_parameters", {}))
        if reply_to is not None and thread is None:
            thread = self._history.thread_of_reply(chat.id, reply_to)
        shown = Shown(self._chats.next_message_id(chat), chat.id, text.text, True, int(time.time()))
        shown.entities, shown.thread, shown.reply_to = text.entities, thread, reply_to
        return self._history.as_message(self._history.add(shown))

    def _find_replied(self, chat: int, reply: Mapping[str, Any]) -> int | None:
        if strange := reply.keys() - {"message_id", "chat_id", "allow_sending_without_reply"}:
            raise Outside(400, f"Bad Request: the tests' Telegram does not understand {sorted(strange)[0]} of a reply")
        if not reply:
            return None
        try:
            return self._history.find(chat, reply["message_id"], "message to be replied").message_id
        except Refused:
            if reply.get("allow_sending_without_reply"):
                return None
            raise

    def _edit(self, params: Params) -> dict[str, Any]:
        text = self._read_text(params)
        shown = self._find(params, "message to edit")
        if not shown.from_bot:
            raise bad_request("message can't be edited")
        if (text.text, text.entities) == (shown.text, shown.entities):
            words = "specified new message content and reply markup are exactly the same as a current content"
            raise bad_request(f"message is not modified: {words} and reply markup of the message")
        self._history.edit(shown, text.text, text.entities, int(time.time()))
        return self._history.as_message(shown)

    def _delete(self, params: Params) -> bool:
        shown = self._find(params, "message to delete")
        if not shown.from_bot and self._chats.open_chat(shown.chat).kind != "private":
            raise bad_request("message can't be deleted")
        self._history.delete(shown)
        return True

    def _act(self, params: Params) -> bool:
        action = str(params["action"]).lower()
        if action not in ACTIONS:
            raise bad_request("wrong parameter action in request")
        chat = self._chats.find(params["chat_id"])
        thread = self._chats.check_thread(chat, params.get("message_thread_id"), is_general_known=True)
        self._history.act(chat.id, thread, action)
        return True

    def _find(self, params: Params, what: str) -> Shown:
        if "chat_id" not in params or "message_id" not in params:
            raise bad_request("message identifier is not specified")
        return self._history.find(self._chats.find(params["chat_id"]).id, params["message_id"], what)

    def _read_text(self, params: Params) -> Text:
        text = read_text(params["text"], params.get("entities", []))
        self.dropped.extend(text.dropped)
        return text


def _scope(params: Params) -> str:
    return json.dumps({name: params[name] for name in ("scope", "language_code") if params.get(name)}, sort_keys=True)


def _read_commands(commands: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Check commands: 1 to 32 of a-z, 0-9 and _ (https://core.telegram.org/bots/api#botcommand)."""
    if len(commands) > MOST_COMMANDS:
        raise bad_request("BOT_COMMANDS_TOO_MUCH")
    for command in commands:
        if not re.fullmatch(r"[a-z0-9_]{1,32}", command["command"]):
            raise bad_request("BOT_COMMAND_INVALID")
        if not 1 <= len(command["description"]) <= 256:
            raise bad_request("BOT_COMMAND_DESCRIPTION_INVALID")
    return commands

"""This module checks the app's two tokens: which method takes which, their scopes, and whether they are valid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from tests.platforms.slackapi.answers import Outside, Params, Refused
from tests.platforms.slackapi.workspace import Workspace

BOT_TOKEN: Final = "xoxb-1000-2000-planted-bot-token"
APP_TOKEN: Final = "xapp-1-A0AGENTD01-3000-planted-app-token"

OPEN: Final = "apps.connections.open"
"""The one method that takes the app's token."""

WRITES: Final = ("chat:write",)
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    OPEN: ("connections:write",),
    "chat.postMessage": WRITES,
    "chat.update": WRITES,
    "chat.delete": WRITES,
    "conversations.open": ("im:write",),
    "users.info": ("users:read",),
    "files.info": ("files:read",),
    "assistant.threads.setStatus": ("chat:write", "assistant:write"),
    "assistant.threads.setTitle": ("assistant:write",),
    "assistant.threads.setSuggestedPrompts": ("assistant:write",),
}
"""Any one of these scopes is needed; what is not here needs none, or one of each kind of conversation."""
OF_PLACES: Final = {
    "conversations.history": "history",
    "conversations.replies": "history",
    "conversations.info": "read",
}
PLACES: Final = {"im": "im", "channel": "channels", "group": "groups", "mpim": "mpim"}
DOWNLOADS: Final = "files:read"


class Tokens:
    """What the two are worth now."""

    def __init__(self, workspace: Workspace) -> None:
        """Begin with every scope that a method of this server needs."""
        places = {f"{place}:{what}" for place in PLACES.values() for what in ("history", "read")}
        self.scopes = {scope for needed in NEEDED.values() for scope in needed} | places | {"app_mentions:read"}
        self._workspace = workspace
        self._spoiled: dict[str, str] = {}

    def revoke(self, token: str = BOT_TOKEN, error: str = "token_revoked") -> None:
        """Let a token hold no more, for this reason: token_revoked, account_inactive, token_expired ..."""
        self._spoiled[token] = error

    def restore(self, token: str = BOT_TOKEN) -> None:
        """Let a token hold again."""
        self._spoiled.pop(token, None)

    def check(self, method: str, token: str) -> None:
        """Raise Refused where a token is not one for this method."""
        if not token:
            raise Refused("not_authed")
        if token not in (BOT_TOKEN, APP_TOKEN):
            raise Refused("invalid_auth")
        if token in self._spoiled:
            raise Refused(self._spoiled[token])
        if (method == OPEN) != (token == APP_TOKEN):
            raise Outside("not_allowed_token_type", f"{method} does not take {token[:5]} tokens")

    def check_scope(self, method: str, params: Params) -> None:
        """Raise Refused where the app was not given what a call needs."""
        needed = NEEDED.get(method, ())
        if method in OF_PLACES and params["channel"] in self._workspace.conversations:
            kind = self._workspace.conversations[params["channel"]].kind
            needed = (f"{PLACES[kind]}:{OF_PLACES[method]}",)
        if needed and not self.scopes & set(needed):
            more = {"needed": needed[0], "provided": ",".join(sorted(self.scopes))}
            raise Refused("missing_scope", more)

    def may_download(self, token: str) -> bool:
        """Tell whether a token opens the address of a file."""
        return token == BOT_TOKEN and token not in self._spoiled and DOWNLOADS in self.scopes


def bearer(request: web.Request) -> str:
    """Return the token in a request's header."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token if scheme == "Bearer" else ""


def read_token(request: web.Request, sent: Mapping[str, Any]) -> str:
    """Return the token of a call, from its header or its form; raises Outside."""
    if "token" in request.query:
        raise Outside("not_authed", "a token must not stand in the query, where logs show it")
    return bearer(request) or str(sent.get("token", ""))

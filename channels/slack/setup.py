"""This module explains what is wrong with an app's tokens or settings, in a sentence that says what to change."""

from __future__ import annotations

from channels.slack.connection import APP_TOKEN, BOT_TOKEN
from channels.slack.faults import Misconfigured, WireSwitchedOff

__all__ = ["wrong_app", "wrong_bot"]

_ADDRESS = ", or correct channels_config.slack.api_base_url"


def wrong_bot(fault: Misconfigured, *, is_slack: bool = True) -> str:
    """Return what is wrong with the bot's token, and what to change."""
    what = {
        "token_revoked": "the token was revoked: install the app again, and copy the new token",
        "account_inactive": "the app was removed from the workspace: install it again, and copy the new token",
        "token_expired": "the token has run out: switch token rotation off for the app, and install it again",
        "not_allowed_token_type": 'another kind is wanted: the "Bot User OAuth Token", which begins with xoxb-',
    }.get(fault.error, "Slack does not know this token: copy it again from OAuth & Permissions of your app")
    return f"{BOT_TOKEN}: {what} ({fault}){'' if is_slack else _ADDRESS}"


def wrong_app(fault: Misconfigured) -> str:
    """Return what is wrong with the app-level token or its scopes, and what to change."""
    if isinstance(fault, WireSwitchedOff):
        return f"{APP_TOKEN}: Socket Mode is switched off for the app ({fault}): switch it on at Socket Mode"
    what = {
        "token_revoked": "the token was revoked: make another at Basic Information, App-Level Tokens",
        "account_inactive": "the app is gone or switched off: look at https://api.slack.com/apps",
        "not_allowed_token_type": 'another kind is wanted: an "App-Level Token", which begins with xapp-',
        "missing_scope": "the token lacks the scope connections:write: make another with it at Basic Information",
    }.get(fault.error, "Slack does not know this token: copy it again from Basic Information of your app")
    return f"{APP_TOKEN}: {what} ({fault})"

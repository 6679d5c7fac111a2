"""Slack, by its Web API and Socket Mode."""

from __future__ import annotations

from channels.slack.channel import SlackChannel, open_slack

__all__ = ["SlackChannel", "open_slack"]

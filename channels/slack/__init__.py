"""This package is the Slack channel: it receives through Socket Mode and sends through the Web API."""

from __future__ import annotations

from channels.slack.channel import SlackChannel, open_slack

__all__ = ["SlackChannel", "open_slack"]

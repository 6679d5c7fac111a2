"""This package connects the daemon to chat platforms: each channel receives, parses and sends messages, and reconnects.

The channels are Telegram, Slack, Discord and the console.
"""

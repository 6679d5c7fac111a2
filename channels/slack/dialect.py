"""This module defines how a reply is rendered for Slack, and the limit of 12,000 characters on one message."""

from __future__ import annotations

from channels.markup.markdown import render_markdown
from channels.markup.rich import Dialect, RichText
from channels.slack.writing import escape_text, to_markdown

__all__ = ["MOST_UNITS", "SLACK"]

MOST_UNITS = 12_000
"""The limit on all markdown blocks of a message (https://docs.slack.dev/reference/block-kit/blocks/markdown-block)."""


def units(rich: RichText) -> int:
    """Return the size of a text in its longer form: as Markdown, or as the plain text that can replace it."""
    return max(_utf16(to_markdown(rich)), _utf16(escape_text(rich.text)))


def _utf16(text: str) -> int:
    """Return the length in UTF-16 units, as most platforms count: Slack does not say how it does."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


SLACK = Dialect(render_markdown, units, MOST_UNITS)

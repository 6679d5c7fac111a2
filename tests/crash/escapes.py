"""This module removes the escapes from a text, as a reader of its Markdown sees it, for these conversations."""

from __future__ import annotations

import re

__all__ = ["unescape"]

_ESCAPED = re.compile(r"\\([^\w\s])")


def unescape(text: str) -> str:
    """Return the text without the backslashes that keep marks from being marks."""
    return _ESCAPED.sub(r"\1", text)

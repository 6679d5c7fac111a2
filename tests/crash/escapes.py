"""What a reader of Markdown sees of text whose marks are escaped, as far as these conversations have any."""

from __future__ import annotations

import re

__all__ = ["unescape"]

_ESCAPED = re.compile(r"\\([^\w\s])")


def unescape(text: str) -> str:
    """Return the text without the backslashes that keep marks from being marks."""
    return _ESCAPED.sub(r"\1", text)

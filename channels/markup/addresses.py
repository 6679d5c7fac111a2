"""Addresses of links: which of them a platform takes behind a word."""

from __future__ import annotations

import re

__all__ = ["is_web_address"]

MOST_CHARACTERS = 2048
"""Longer than any browser promises to take; what is longer is shown instead."""

_WEB = re.compile(r"https?://[\w-]+(?:\.[\w-]+)+\.?(?::0*([1-9]\d{0,4}))?(?:[/?#]\S*)?", re.IGNORECASE)


def is_web_address(address: str) -> bool:
    """Tell whether it is HTTP to a host with a dot in its name.

    Anything else some platform refuses with the whole message, or turns into something else: Telegram's servers
    take no `localhost`, read `mailto:` as a web address with a password, and know only some people by `tg://user`.
    """
    found = _WEB.fullmatch(address)
    if found is None or len(address) > MOST_CHARACTERS or not address.isprintable():
        return False
    return found[1] is None or int(found[1]) <= 65535

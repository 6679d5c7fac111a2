"""This module decides whether a link's address can be hidden behind its words on every platform, or must be shown."""

from __future__ import annotations

import re

__all__ = ["is_web_address"]

MOST_CHARACTERS = 2048
"""The longest address that becomes a link, as long as browsers promise to take; a longer one is shown as text."""

_WEB = re.compile(r"https?://[\w-]+(?:\.[\w-]+)+\.?(?::0*([1-9]\d{0,4}))?(?:[/?#]\S*)?", re.IGNORECASE)


def is_web_address(address: str) -> bool:
    """Tell whether an address is HTTP(S) to a host with a dot in its name.

    For anything else, some platform refuses the whole message or makes something else of it: Telegram's servers take no
    `localhost`, read `mailto:` as a web address with a password, and know only some people by `tg://user`.
    """
    found = _WEB.fullmatch(address)
    if found is None or len(address) > MOST_CHARACTERS or not address.isprintable():
        return False
    return found[1] is None or int(found[1]) <= 65535

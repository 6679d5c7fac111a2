r"""Plain text that stays plain: what Discord would take for a mark is given a backslash, which it then does not show.

Discord reads `*`, `_`, `~~`, `||` and backquotes anywhere; `#`, `>`, `-` and numbers where a line begins; `<...>`,
`[...](...)`, `@everyone` and `:smile:` as other things than they are. An address is left as it is: a backslash in it
would be a part of it (https://support.discord.com/hc/en-us/articles/210298617).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["escapes", "find_addresses", "might_be_marked"]

_ANYWHERE = re.compile(
    r"[\\*_`\[]"
    r"|~(?=~)|(?<=~)~|\|(?=\|)|(?<=\|)\|"
    r"|<(?=\S)"
    r"|@(?=everyone|here)"
    r"|:(?=[\w+-]+:)"
)
_AT_THE_START = re.compile(r"[^\S\n]*(?:(?=#{1,3}\s)|(?=>)|(?=[-+][\s#])|\d+(?=\.\s))")
_HALVES = {"~": re.compile("~"), "|": re.compile(r"\|")}
_ADDRESS = re.compile(r"https?://[^\s<>]+[^<>.,:;\"')\]\s]")
_ANY = re.compile(r"[\\*_`\[~|<@:#>\n+.-]|\d\.")


def might_be_marked(text: str) -> bool:
    """Tell whether anything in a text has a meaning for Discord; False: it is shown as it is."""
    return _ANY.search(text) is not None


def find_addresses(line: str) -> Iterator[tuple[int, int]]:
    """Give the places of the addresses that Discord finds in a line, up to what cannot be a part of one."""
    return (found.span() for found in _ADDRESS.finditer(line))


def escapes(line: str, starts: Iterable[int], halves: str) -> set[int]:
    """Return the places in a line that need a backslash.

    `starts` are the places where Discord may see a line begin, `halves` characters that need one also when alone.
    """
    places = {found.start() for found in _ANYWHERE.finditer(line)}
    begun = (_AT_THE_START.match(line, start) for start in starts)
    places |= {found.end() for found in begun if found is not None}
    for half in halves:
        places |= {found.start() for found in _HALVES[half].finditer(line)}
    return places

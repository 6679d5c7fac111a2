r"""This module escapes plain text for Discord: a backslash goes before every character that would be read as a mark.

Discord gives a meaning to `*`, `_`, `~~`, `||` and backquotes anywhere; to `#`, `>`, `-` and numbers at the start of a
line; and to `<...>`, `[...](...)`, `@everyone` and `:smile:`. An address is left as it is: a backslash would become a
part of it (https://support.discord.com/hc/en-us/articles/210298617).
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
    """Tell whether a text may need escaping; False: Discord shows it as it is."""
    return _ANY.search(text) is not None


def find_addresses(line: str) -> Iterator[tuple[int, int]]:
    """Yield start and end of each web address that Discord finds in a line."""
    return (found.span() for found in _ADDRESS.finditer(line))


def escapes(line: str, starts: Iterable[int], halves: str) -> set[int]:
    """Return the places in a line that need a backslash.

    `starts` are the places where Discord may see a line begin; `halves` are characters that need one even when alone.
    """
    places = {found.start() for found in _ANYWHERE.finditer(line)}
    begun = (_AT_THE_START.match(line, start) for start in starts)
    places |= {found.end() for found in begun if found is not None}
    for half in halves:
        places |= {found.start() for found in _HALVES[half].finditer(line)}
    return places

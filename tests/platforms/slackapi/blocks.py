"""This module checks blocks: which may be sent, how long each may be, and whom a text pings."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from tests.platforms.slackapi.answers import Outside

MOST_BLOCKS: Final = 50
MOST_MARKDOWN: Final = 12_000
"""Characters of all markdown blocks of a message together
(https://docs.slack.dev/reference/block-kit/blocks/markdown-block)."""
MOST_SECTION: Final = 3_000
MOST_HEADER: Final = 150
MOST_ELEMENTS: Final = 10

Block = Mapping[str, Any]

PING: Final = re.compile(r"<(?:!(?:channel|here|everyone)|!subteam\^\w+|@[UW]\w+)(?:\|[^>]*)?>")
"""What mrkdwn makes a mention of (https://docs.slack.dev/messaging/formatting-message-text)."""


def read_blocks(sent: object) -> list[Block]:
    """Return the blocks of a message; raises Outside."""
    if not isinstance(sent, list):
        raise Outside("invalid_blocks_format", "blocks must be a list")
    if len(sent) > MOST_BLOCKS:
        raise Outside("invalid_blocks", f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]")
    for number, block in enumerate(sent):
        _check_block(block, f"/blocks/{number}")
    if len(markdown_of(sent)) > MOST_MARKDOWN:
        raise Outside("msg_blocks_too_long", f"markdown of more than {MOST_MARKDOWN} characters")
    return list(sent)


def markdown_of(blocks: Sequence[Block]) -> str:
    """Return the markdown of these blocks."""
    return "".join(str(block["text"]) for block in blocks if block["type"] == "markdown")


def pings_of(text: str, blocks: Sequence[Block]) -> list[str]:
    """Return what in a message makes somebody's phone ring, wherever it stands."""
    found = PING.findall(text)
    for block in blocks:
        found += PING.findall(_all_text(block))
    return found


def _all_text(value: object) -> str:
    if isinstance(value, Mapping):
        return "\n".join(_all_text(part) for part in value.values())
    if isinstance(value, list):
        return "\n".join(_all_text(part) for part in value)
    return value if isinstance(value, str) else ""


def _check_block(block: object, where: str) -> None:
    if not isinstance(block, dict) or not isinstance(block.get("type"), str):
        raise _invalid("must be an object with a type", where)
    kind = block["type"]
    if kind not in CHECKS:
        raise _invalid(f"unsupported type: {kind}", f"{where}/type")
    known, check = CHECKS[kind]
    if strange := sorted(block.keys() - known - {"type", "block_id"}):
        raise _invalid(f"additional property: {strange[0]}", where)
    check(block, where)


def _check_markdown(block: Block, where: str) -> None:
    if not isinstance(block.get("text"), str) or not block["text"]:
        raise _invalid("must be a string of at least 1 character", f"{where}/text")


def _check_section(block: Block, where: str) -> None:
    if "text" in block:
        _check_text(block["text"], MOST_SECTION, f"{where}/text")
    elif not block.get("fields"):
        raise _invalid("missing required field: text", where)
    fields = block.get("fields", [])
    if not isinstance(fields, list) or len(fields) > MOST_ELEMENTS:
        raise _invalid(f"no more than {MOST_ELEMENTS} items allowed", f"{where}/fields")
    for number, field in enumerate(fields):
        _check_text(field, 2_000, f"{where}/fields/{number}")


def _check_header(block: Block, where: str) -> None:
    _check_text(block.get("text"), MOST_HEADER, f"{where}/text", kinds=("plain_text",))


def _check_context(block: Block, where: str) -> None:
    elements = block.get("elements")
    if not isinstance(elements, list) or not 1 <= len(elements) <= MOST_ELEMENTS:
        raise _invalid(f"must have 1 to {MOST_ELEMENTS} items", f"{where}/elements")
    for number, element in enumerate(elements):
        _check_text(element, MOST_SECTION, f"{where}/elements/{number}")


def _check_divider(_block: Block, _where: str) -> None:
    """Accept it: it holds nothing."""


def _check_text(text: object, most: int, where: str, kinds: Sequence[str] = ("mrkdwn", "plain_text")) -> None:
    if not isinstance(text, dict) or text.get("type") not in kinds:
        raise _invalid(f"must be an object of type {' or '.join(kinds)}", where)
    if strange := sorted(text.keys() - {"type", "text", "emoji", "verbatim"}):
        raise _invalid(f"additional property: {strange[0]}", where)
    if not isinstance(text.get("text"), str) or not 1 <= len(text["text"]) <= most:
        raise _invalid(f"must be 1 to {most} characters", f"{where}/text")


CHECKS: Final[Mapping[str, tuple[frozenset[str], Callable[[Block, str], None]]]] = {
    "markdown": (frozenset({"text"}), _check_markdown),
    "section": (frozenset({"text", "fields", "expand"}), _check_section),
    "header": (frozenset({"text"}), _check_header),
    "context": (frozenset({"elements"}), _check_context),
    "divider": (frozenset[str](), _check_divider),
}
"""Of each type that this server has, its own properties and what checks them."""


def _invalid(words: str, where: str) -> Outside:
    return Outside("invalid_blocks", f"{words} [json-pointer:{where}]")

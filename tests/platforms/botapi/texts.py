"""This module cleans, trims and measures texts as the server does, and finds entities in what people write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.platforms.botapi.answers import bad_request
from tests.platforms.botapi.entities import Entity, arrange, end_of, read_entities, with_checked_links

MOST_UNITS: Final = 4096
"""UTF-16 code units of one message (https://core.telegram.org/bots/api#sendmessage)."""
MOST_BYTES: Final = 1 << 15
"""Of a text as it is sent, before anything is parsed."""

REMOVED: Final = frozenset("\r\u030a\u0333\u033f") | frozenset(map(chr, range(0x2028, 0x202F)))
BLANKS: Final = re.compile(
    r"[\s\u00a0\u1680\u180e\u2000-\u200f\u202f\u205f\u2800\u3000\ufeff\ufffc\U000e0000-\U000e007f]*"
)
"""A text of these alone says nothing."""

FOUND: Final = re.compile(
    r"(?P<bot_command>(?<![\w/])/\w{1,64}(?:@\w{3,32})?)"
    r"|(?P<url>\bhttps?://\S+)"
    r"|(?P<mention>(?<!\w)@[A-Za-z]\w{3,31})",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Text:
    """A text as a message shows it; offsets and lengths of its entities count UTF-16 code units."""

    text: str
    entities: tuple[Entity, ...] = ()
    dropped: tuple[Entity, ...] = ()
    """Entities that were sent, and that nobody sees."""


def units(text: str) -> int:
    """Count UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def read_text(text: str, sent: Sequence[Mapping[str, Any]]) -> Text:
    """Return what a bot's text becomes; raises Refused as the real server does."""
    if not text:
        raise bad_request("message text is empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise bad_request("strings must be encoded in UTF-8")
    if len(text.encode()) > MOST_BYTES:
        raise bad_request("text is too long")
    entities = with_checked_links(read_entities(sent))
    text, entities = _trim(*_clean(text, entities))
    if BLANKS.fullmatch(text):
        raise bad_request("text must be non-empty")
    if units(text) > MOST_UNITS:
        raise bad_request("message is too long")
    kept, dropped = arrange(entities)
    return Text(text, tuple(kept), tuple(dropped))


def _clean(text: str, entities: Sequence[Entity]) -> tuple[str, list[Entity]]:
    """Replace control characters, remove what is never shown, and move the entities along."""
    kept: list[str] = []
    places: dict[int, int] = {}
    before = after = 0
    for character in text:
        places[before] = after
        size = 1 + (character > "\uffff")
        before += size
        if character not in REMOVED:
            kept.append(" " if character < " " and character != "\n" else character)
            after += size
    places[before] = after
    moved: list[Entity] = []
    for entity in entities:
        _check_place(text, entity, places, before)
        start, end = places[entity["offset"]], places[end_of(entity)]
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return "".join(kept), moved


def _check_place(text: str, entity: Entity, places: Mapping[int, int], length: int) -> None:
    start, end = entity["offset"], end_of(entity)
    if start > length:
        raise bad_request(f"entity begins after the end of the text at UTF-16 offset {start}")
    if start not in places:
        raise bad_request(f"entity begins in a middle of a UTF-16 symbol at byte offset {_byte_after(text, start)}")
    if end > length:
        words = f"entity beginning at UTF-16 offset {start} ends after the end of the text at UTF-16 offset {end}"
        raise bad_request(words)
    if end not in places:
        where = f"ends in a middle of a UTF-16 symbol at byte offset {_byte_after(text, end)}"
        raise bad_request(f"entity beginning at UTF-16 offset {start} {where}")


def _byte_after(text: str, offset: int) -> int:
    """Return where the character ends that an offset falls into."""
    return len(text.encode("utf-16-le")[: 2 * (offset + 1)].decode("utf-16-le").encode())


def _trim(text: str, entities: Sequence[Entity]) -> tuple[str, list[Entity]]:
    """Cut blanks and line breaks off both ends; those that begin the first entity stay."""
    trimmed = text.rstrip(" \n")
    length = units(trimmed)
    kept = [
        {**entity, "length": min(end_of(entity), length) - entity["offset"]}
        for entity in entities
        if entity["offset"] < length
    ]
    leading = len(trimmed) - len(trimmed.lstrip(" \n"))
    cut = min(leading, kept[0]["offset"]) if kept else leading
    return trimmed[cut:], [{**entity, "offset": entity["offset"] - cut} for entity in kept]


def find_entities(text: str, mentions: Mapping[str, Mapping[str, Any]]) -> list[Entity]:
    """Return what a client finds in a text that a person writes; `mentions` are people without a name, by word."""
    found: list[Entity] = []
    for match in FOUND.finditer(text):
        assert match.lastgroup is not None
        found.append({"type": match.lastgroup, "offset": units(text[: match.start()]), "length": units(match[0])})
    for word, user in mentions.items():
        at = text.index(word)
        entity = {"type": "text_mention", "offset": units(text[:at]), "length": units(word), "user": dict(user)}
        found.append(entity)
    return sorted(found, key=lambda entity: int(entity["offset"]))


def cut_pasted(text: str) -> list[str]:
    """Return the messages that a client makes of a long text: cut after a line or a word if they can be."""
    pieces: list[str] = []
    while units(text) > MOST_UNITS:
        head = text.encode("utf-16-le")[: 2 * MOST_UNITS].decode("utf-16-le", "ignore")
        ends = (head.rfind(end) + 1 for end in ("\n", " "))
        at = next((end for end in ends if end > len(head) // 2), len(head))
        pieces.append(text[:at])
        text = text[at:]
    return [*pieces, text]

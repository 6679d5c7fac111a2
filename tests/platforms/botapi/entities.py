"""This module checks message entities: which a text may have, and what becomes of those that do not fit together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from tests.platforms.botapi.answers import bad_request
from tests.platforms.botapi.links import WrongLink, read_link

Entity = dict[str, Any]

MOST_ENTITIES: Final = 100
"""Of one message; those beyond are ignored (https://core.telegram.org/api/entities)."""

SPLITTABLE: Final = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler"})
QUOTES: Final = frozenset({"blockquote", "expandable_blockquote"})
MONOWIDTH: Final = frozenset({"code", "pre", "date_time"})
"""Nothing stands within them."""
CONTINUOUS: Final = MONOWIDTH | {"text_link", "text_mention", "custom_emoji"}
FOUND_ONLY: Final = frozenset(
    {"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"}
)
"""What the server finds by itself: sent by a bot, it is passed over."""
NEEDED: Final = {
    "text_link": "url",
    "text_mention": "user",
    "custom_emoji": "custom_emoji_id",
    "date_time": "unix_time",
}
FARTHEST: Final = 1_000_000
PRIORITIES: Final = {
    **dict.fromkeys(QUOTES, 0),
    "pre": 10,
    "code": 20,
    "date_time": 30,
    "text_link": 49,
    "text_mention": 49,
    **{name: 90 + number for number, name in enumerate(("bold", "italic", "underline", "strikethrough", "spoiler"))},
    "custom_emoji": 99,
}
"""Of those that cover the same place, which one is the outer."""


def read_entities(sent: Iterable[Mapping[str, Any]]) -> list[Entity]:
    """Return what counts of the entities that came with a text, in their order; raises Refused."""
    read = [dict(entity) for entity in sent if _check_kind(entity)]
    for entity in read:
        if not 0 <= entity["offset"] <= FARTHEST:
            raise bad_request(f"receive an entity with incorrect offset {entity['offset']}")
        if not 0 <= entity["length"] <= FARTHEST:
            raise bad_request(f"receive an entity with incorrect length {entity['length']}")
    return sorted((entity for entity in read if entity["length"]), key=_rank)


def _check_kind(entity: Mapping[str, Any]) -> bool:
    """Tell whether it is one that a bot can set."""
    kind = entity["type"]
    if kind in FOUND_ONLY:
        return False
    if kind not in PRIORITIES:
        raise bad_request("can't parse MessageEntity: Unsupported type specified")
    if kind in NEEDED and entity.get(NEEDED[kind]) is None:
        raise bad_request(f"can't parse MessageEntity: Can't find field \"{NEEDED[kind]}\"")
    return True


def with_checked_links(entities: Iterable[Entity]) -> list[Entity]:
    """Return them with every link's address as the server keeps it; raises Refused."""
    checked: list[Entity] = []
    for entity in entities:
        if entity["type"] != "text_link":
            checked.append(entity)
        elif entity["url"]:
            try:
                checked.append({**entity, "url": read_link(entity["url"])})
            except WrongLink as fault:
                raise bad_request(f"entity {fault}") from fault
    return checked


def arrange(entities: Sequence[Entity]) -> tuple[list[Entity], list[Entity]]:
    """Return the entities that the real server keeps, and those that it drops because they do not fit together.

    Links, mentions, code and quotes may not cross or contain their like; nothing stands within code. Where bold and
    its kin are wider than code, they go on around it. (The real server also cuts them where others begin within them,
    which nobody sees; here they stay whole.)
    """
    whole, dropped = _first_of(entity for entity in entities if entity["type"] in CONTINUOUS)
    quotes, more = _first_of(entity for entity in entities if entity["type"] in QUOTES)
    dropped += more
    kept = [entity for entity in whole if not any(_cross(entity, quote) for quote in quotes)]
    dropped += [entity for entity in whole if entity not in kept]
    codes = [entity for entity in kept if entity["type"] in MONOWIDTH]
    for entity in entities:
        if entity["type"] in SPLITTABLE:
            around = _around(entity, codes)
            kept += around
            dropped += [] if around else [entity]
    kept = sorted([*kept, *quotes], key=_rank)
    return kept[:MOST_ENTITIES], [*dropped, *kept[MOST_ENTITIES:]]


def end_of(entity: Mapping[str, Any]) -> int:
    """Return where it ends, in UTF-16 code units."""
    return int(entity["offset"] + entity["length"])


def _rank(entity: Entity) -> tuple[int, int, int]:
    return entity["offset"], -entity["length"], PRIORITIES[entity["type"]]


def _first_of(entities: Iterable[Entity]) -> tuple[list[Entity], list[Entity]]:
    first: list[Entity] = []
    rest: list[Entity] = []
    for entity in sorted(entities, key=_rank):
        fits = not first or entity["offset"] >= end_of(first[-1])
        (first if fits else rest).append(entity)
    return first, rest


def _cross(entity: Entity, quote: Entity) -> bool:
    overlap = entity["offset"] < end_of(quote) and quote["offset"] < end_of(entity)
    return overlap and (entity["offset"] < quote["offset"] or end_of(entity) > end_of(quote))


def _around(entity: Entity, codes: Sequence[Entity]) -> list[Entity]:
    pieces: list[Entity] = []
    at = entity["offset"]
    for code in sorted(codes, key=_rank):
        if code["offset"] >= end_of(entity) or end_of(code) <= at:
            continue
        if code["offset"] > at:
            pieces.append({**entity, "offset": at, "length": code["offset"] - at})
        at = end_of(code)
    if at < end_of(entity):
        pieces.append({**entity, "offset": at, "length": end_of(entity) - at})
    return pieces

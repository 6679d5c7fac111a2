"""This module checks that people see each reply whole, once, in its place, and every copy marked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from agentd.delivery.reply import COPY_NOTE
from tests.simulation.chat import Shown
from tests.simulation.model import WORD
from tests.simulation.watch import UNSAVED
from tests.simulation.world import World

__all__ = ["check_screen"]

Record = dict[str, Any]


def check_screen(world: World, chat: str, files: dict[str, list[Record]]) -> Iterator[str]:
    """Yield what is wrong with what people see in one chat, whose sessions these are."""
    screen = {s.message_id: s for s in world.platform.on_screen(chat) if not s.text.startswith(UNSAVED)}
    yield from _strangers(world, chat, screen)
    yield from _twice(screen, _copies(screen, files))
    delivered = {name: _delivered(records) for name, records in files.items()}
    for name, records in files.items():
        for delivery in (record for record in records if record["type"] == "delivery"):
            yield from _misdelivered(world, chat, screen, records, delivery)
        yield from _left_over(world, chat, screen, records, delivered[name])
    named = {i for records in files.values() for r in records for i in (*r.get("message_ids", ()), r.get("message_id"))}
    is_spoiled = any(name in world.spoiled for name in files)
    for shown in screen.values():
        if shown.message_id not in named and shown.confirmed - world.cut_lives and not is_spoiled:
            yield f"{shown.message_id} is on no record, though its sending was confirmed"


def _strangers(world: World, chat: str, screen: dict[str, Shown]) -> Iterator[str]:
    here = {person.name for person in world.script.people if person.chat == chat}
    for shown in screen.values():
        for found in WORD.finditer(shown.text):
            strangers = {token.split(".")[0] for token in (found[1] or "").split()} - here
            if strangers:
                yield f"{shown.message_id} is an answer to {sorted(strangers)}"


def _copies(screen: dict[str, Shown], files: dict[str, list[Record]]) -> set[str]:
    """Return what is marked as a copy: a message that says so, and the parts of the same reply after it."""
    marked = {message_id for message_id, shown in screen.items() if shown.text.startswith(COPY_NOTE)}
    for record in (record for records in files.values() for record in records):
        ids = record.get("message_ids", [])
        first = next((place for place, message_id in enumerate(ids) if message_id in marked), len(ids))
        marked.update(ids[first:])
    return marked


def _twice(screen: dict[str, Shown], copies: set[str]) -> Iterator[str]:
    """A reply, or a part of one, stands there once without a mark."""
    plain = [shown for shown in screen.values() if shown.message_id not in copies]
    for nonce, many in Counter(_part(shown) for shown in plain).items():
        if many > 1:
            texts = [shown.text[:40] for shown in plain if _part(shown) == nonce]
            yield f"the same message stands there {many} times without a mark: {texts}"
    tags = Counter(found[0] for shown in plain for found in WORD.finditer(shown.text) if found[2])
    twice = [tag for tag, many in tags.items() if many > 1]
    if twice:
        yield f"stand there twice without a mark: {twice}"


def _part(shown: Shown) -> str:
    """Return which part of which reply this is: a nonce is that, and the number of the try."""
    return shown.nonce.rpartition("-")[0]


def _misdelivered(
    world: World, chat: str, screen: dict[str, Shown], records: list[Record], delivery: Record
) -> Iterator[str]:
    of = records[delivery["of"]]
    if delivery["state"] == "failed":
        if chat not in world.platform.refused:
            yield f"the delivery of {of['seq']} failed, and nothing was refused"
        return
    missing = [message_id for message_id in delivery["message_ids"] if message_id not in screen]
    if missing:
        yield f"{missing} were delivered for {of['seq']}, and are not there"
        return
    texts = [screen[message_id].text for message_id in delivery["message_ids"]]
    if delivery["state"] == "sent" and of.get("name") != "stop" and any(text.startswith(COPY_NOTE) for text in texts):
        yield f"{of['seq']} is marked as a copy, and recorded as sent"
    if delivery["state"] == "uncertain" and not _has_doubt(records, of) and chat not in world.platform.refused:
        yield f"the delivery of {of['seq']} is uncertain, and every sending was confirmed"
    expected, seen = of.get("content", of.get("notice")), _plain("".join(texts).replace(COPY_NOTE, ""))
    if expected is None:
        return
    is_whole = of.get("outcome", "complete") == "complete"
    if not (seen == _plain(expected) if is_whole else seen.startswith(_plain(expected))):
        yield f"{of['seq']} says {expected[:60]!r}, and people see {''.join(texts)[:80]!r}"


def _has_doubt(records: list[Record], of: Record) -> bool:
    """Tell whether some message of a reply was begun more often than it was confirmed."""
    first = min(of.get("answers", [of["seq"]]))
    # A reply that was begun for a message that its author deleted may go on as the next one's.
    deleted = {record["of"] for record in records if record["type"] == "delete"}
    firsts = {first, *(seq for seq in deleted if seq < first)}
    drafts = [record for record in records if record["type"] == "draft" and min(record["answers"]) in firsts]
    states = Counter((record["part"], record["state"]) for record in drafts)
    return any(states[part, "sending"] > states[part, "sent"] for part, _ in states)


def _left_over(
    world: World, chat: str, screen: dict[str, Shown], records: list[Record], delivered: set[str]
) -> Iterator[str]:
    """What was begun and is no part of what was delivered is gone, if it may be.

    Unless nobody is told how its turn ended: after `/new`, or where its message was taken back.
    """
    if chat in world.platform.refused:
        return
    ended = {seq for record in records if record.get("told") is False for seq in record["answers"]}
    ended |= {record["of"] for record in records if record["type"] == "delete"}
    for record in records:
        if record["type"] == "draft" and record["state"] == "sent" and not ended.intersection(record["answers"]):
            left = record["message_id"]
            if left in screen and left not in delivered:
                yield f"{left} was begun for {record['answers']}, and still stands there: {screen[left].text[:40]!r}"


def _delivered(records: list[Record]) -> set[str]:
    return {i for record in records if record["type"] == "delivery" for i in record["message_ids"]}


def _plain(text: str) -> str:
    return "".join(text.split())

"""This module judges a run from outside, by the session's file and what the platform and the model received.

It knows the file's format and the copy's note, and asks the daemon nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from agentd.delivery.reply import COPY_NOTE
from tests.crash.world import World

Record = dict[str, Any]

NOTICES = ("I cannot answer now", "I could not take your message")
"""What is said of a disk that refuses cannot be put on it."""

NOTE = "".join(COPY_NOTE.split())


@dataclass(slots=True)
class Verdict:
    """What was found; the daemon kept its promises where `faults` is empty."""

    faults: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    """Texts that stand on the screen and that no record tells to be there, nor to be a copy's original."""
    uncertain: int = 0
    originals: int = 0
    """Texts that stand above a marked copy of theirs."""
    torn: int = 0

    @property
    def is_good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.faults or self.lost or self.doubles)

    def expect(self, holds: bool, fault: str) -> None:
        """Note a fault where something does not hold."""
        if not holds:
            self.faults.append(fault)


def judge(world: World) -> Verdict:
    """Look at everything."""
    verdict = Verdict()
    records = _read(world.content(), verdict)
    _check_bytes(world, verdict)
    verdict.expect(not world.platform.open, "an update is not confirmed")
    verdict.expect(not world.platform.server.refusals, f"the platform refuses {world.platform.server.refusals}")
    _check_ends(world, records, verdict)
    _check_screen(world, records, verdict)
    _check_edits(world, records, verdict)
    _check_prompts(world, records, verdict)
    return verdict


def _read(content: bytes, verdict: Verdict) -> list[Record]:
    records: list[Record] = []
    for line in content.splitlines():
        try:
            records.append(json.loads(line))
        except ValueError:
            verdict.torn += 1
    seqs = [record["seq"] for record in records]
    verdict.expect(seqs == list(range(len(seqs))), f"seqs are {seqs}")
    verdict.expect(content.endswith(b"\n"), "the last line is open")
    return records


def _check_bytes(world: World, verdict: Verdict) -> None:
    """What a kill left stays as it is; at most one line a kill is torn."""
    content = world.content()
    for number, left in enumerate(world.left, 1):
        verdict.expect(content.startswith(left), f"bytes that kill {number} left have changed")
    verdict.expect(verdict.torn <= len(world.left), f"{verdict.torn} torn lines")


def _check_ends(world: World, records: list[Record], verdict: Verdict) -> None:
    """Everything that was said is on record once, and has one end."""
    taken = [record for record in records if record.get("role") == "user" or record["type"] == "command"]
    by_id = Counter(record["source"]["message_id"] for record in taken)
    for message_id, text in world.posted.messages.items():
        if by_id[message_id] == 0:
            verdict.lost.append(text)
        verdict.expect(by_id[message_id] <= 1, f"{text!r} is on record {by_id[message_id]} times")
    verdict.expect(len(by_id) == len(world.posted.messages), "something is on record that nobody said")
    resets = [record["source"]["message_id"] for record in records if record["type"] == "reset"]
    verdict.expect(len(resets) == len(set(resets)), "a command has had its effect twice")
    ends: Counter[int] = Counter(seq for record in records for seq in record.get("answers", ()) if _is_end(record))
    delivered = {record["of"] for record in records if record["type"] == "delivery"}
    for record in taken:
        count = ends[record["seq"]] + (record["seq"] in delivered)
        if count == 0:
            verdict.lost.append(f"no end of {record['seq']}")
        if count > 1:
            verdict.doubles.append(f"{count} ends of {record['seq']}")


def _is_end(record: Record) -> bool:
    return record.get("role") == "assistant" or record["type"] == "failure"


def _check_screen(world: World, records: list[Record], verdict: Verdict) -> None:
    """Each end stands on the screen once, whole; what stands there besides is the original of a marked copy."""
    screen = world.platform.screen()
    deliveries = [record for record in records if record["type"] == "delivery"]
    told = [record for record in records if _is_end(record) and record.get("told", True)]
    counts = Counter(delivery["of"] for delivery in deliveries)
    verdict.expect(all(counts[end["seq"]] == 1 for end in told), f"deliveries are {dict(counts)}")
    named = [message_id for each in deliveries if not _is_stop(records, each) for message_id in each["message_ids"]]
    verdict.expect(len(named) == len(set(named)), "one message on the screen is two replies")
    for delivery in deliveries:
        _check_delivery(delivery, records, screen, verdict)
    _check_others(records, [message_id for message_id in screen if message_id not in named], screen, verdict)


def _is_stop(records: list[Record], delivery: Record) -> bool:
    """Tell whether this is of `/stop` where it stopped something: the end of that reply is its answer."""
    others = [each for each in records if each["type"] == "delivery" and each is not delivery]
    is_stop = records[delivery["of"]].get("name") == "stop"
    return is_stop and any(delivery["message_ids"] == each["message_ids"] for each in others)


def _check_delivery(delivery: Record, records: list[Record], screen: dict[str, str], verdict: Verdict) -> None:
    ids = delivery["message_ids"]
    shown = [screen.get(message_id) for message_id in ids]
    of = records[delivery["of"]]
    if not ids or None in shown:
        verdict.lost.append(f"{of['type']} {of['seq']} is not on the screen")
        return
    verdict.expect(delivery["state"] in ("sent", "uncertain"), f"{of['seq']} is {delivery['state']}")
    is_uncertain = delivery["state"] == "uncertain"
    copies = [text for text in shown if text and _is_copy(text)]
    verdict.expect(bool(copies) == is_uncertain, f"{of['seq']} is {delivery['state']}, with {len(copies)} marks")
    verdict.uncertain += is_uncertain
    verdict.expect(ids == sorted(ids, key=list(screen).index), f"the parts of {of['seq']} stand in another order")
    whole = "".join(_squeezed(text).removeprefix(NOTE) for text in shown if text)
    if "content" in of or "notice" in of:
        verdict.expect(_says(whole, of), f"{of['seq']} is shown as {whole!r}")


def _says(whole: str, of: Record) -> bool:
    """Tell whether a text is that of an ending; what was broken off has a word about that below it."""
    expected = _squeezed(of.get("content") or of.get("notice") or "")
    if of.get("outcome") == "interrupted":
        return whole.startswith(expected) and whole.endswith("]")
    return whole == expected


def _check_others(records: list[Record], others: list[str], screen: dict[str, str], verdict: Verdict) -> None:
    """Allow, for each part that was sent again in doubt, one text without a mark, and one with it for a further try."""
    doubtful = {
        min(records[record["of"]].get("answers") or [record["of"]])
        for record in records
        if record.get("state") == "uncertain"
    }
    tries = Counter((min(r["answers"]), r["part"]) for r in records if r.get("state") == "sending")
    again = [count - 1 for (first, _), count in tries.items() if count > 1 and first in doubtful]
    others = [message_id for message_id in others if not screen[message_id].startswith(NOTICES)]
    unmarked = [message_id for message_id in others if not _is_copy(screen[message_id])]
    verdict.originals = len(others)
    if len(unmarked) > len(again) or len(others) > sum(again):
        verdict.doubles += [screen[message_id] for message_id in others]


def _is_copy(text: str) -> bool:
    return _squeezed(text).startswith(NOTE)


def _squeezed(text: str) -> str:
    return "".join(text.split())


def _check_edits(world: World, records: list[Record], verdict: Verdict) -> None:
    """An edit is on record once; one that comes again after a reset, of a message from before it, is taken again."""
    edits = [record for record in records if record["type"] == "edit"]
    resets = [record["seq"] for record in records if record["type"] == "reset"]
    for message_id, text in world.posted.edits.items():
        matching = [edit for edit in edits if records[edit["of"]]["source"]["message_id"] == message_id]
        if not matching or any(edit["content"] != text for edit in matching):
            verdict.lost.append(f"edit {text!r}")
        for one, next_one in pairwise(edit["seq"] for edit in matching):
            forgotten = any(one < reset < next_one for reset in resets)
            verdict.expect(forgotten, f"edit {text!r} is on record at {one} and {next_one}")


def _check_prompts(world: World, records: list[Record], verdict: Verdict) -> None:
    """No request holds a message twice, nor one from before a reset that was on record."""
    texts = {**world.posted.messages, **world.posted.edits}
    for number, asked in enumerate(world.model.requests, 1):
        said = Counter(message.content for message in asked.body.messages if message.role == "user")
        twice = [text for text in texts.values() if said[text] > 1]
        verdict.expect(not twice, f"request {number} holds {twice} twice")
    for reset in (record["seq"] for record in records if record["type"] == "reset"):
        _check_after_reset(world, records, reset, verdict)


def _check_after_reset(world: World, records: list[Record], reset: int, verdict: Verdict) -> None:
    """A request with a message from after a reset has none whose turn ended before it."""
    settled = {seq for record in records[:reset] if _is_end(record) for seq in record["answers"]}
    users = [record for record in records if record.get("role") == "user"]
    old = {record["content"] for record in users if record["seq"] in settled}
    new = {record["content"] for record in users if record["seq"] > reset}
    for number, asked in enumerate(world.model.requests, 1):
        said = {message.content for message in asked.body.messages if message.role == "user"}
        mixed = said & old if said & new else set()
        verdict.expect(not mixed, f"request {number} holds {mixed} from before /new")

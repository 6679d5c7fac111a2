"""This module checks the end of a run from outside: the files, the screens, and the model's requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from agentd.conversation.inbound_records import session_key
from agentd.transcript.lines import cut_lines
from agentd.transcript.verify import verify
from channels.base import InboundMessage
from tests.simulation.model import WORD, tokens
from tests.simulation.prompts import check_prompts
from tests.simulation.screens import check_screen
from tests.simulation.watch import records_of
from tests.simulation.world import World

__all__ = ["check"]

Record = dict[str, Any]

MOST_TORN = 10
"""A crash tears one batch: no more records than that are lost where later ones are not."""


def check(world: World) -> None:
    """Report to the world whatever does not hold."""
    files: dict[str, list[Record]] = {}
    for name in (name for name in world.storage.names if name.endswith(".jsonl")):
        content = world.storage.seen(name)
        world.watch.stays(name, content)
        records = _padded([record for _, record in records_of(content)], world.torn.get(name, 0))
        misplaced = [f"{name}: {fault}" for fault in _out_of_place(records)]
        if misplaced:
            world.faults += misplaced
            return  # what follows takes a record by its seq
        for fault in _damage(world, name, content):
            world.fail(f"{name}: {fault}")
        if name not in world.storage.abandoned:
            files[name] = records
    _check_sessions(world, files)


def _check_sessions(world: World, files: dict[str, list[Record]]) -> None:
    for name, records in files.items():
        for fault in _session_faults(world, records):
            world.fail(f"{name}: {fault}")
    for fault in _delivery_faults(world, files):
        world.fail(fault)
    for fault in check_prompts(world.asked, files, is_whole=world.script.settings.max_context_tokens > 2_000):
        world.fail(fault)
    for chat in dict.fromkeys(person.chat for person in world.script.people):
        there = {name: records for name, records in files.items() if f"~{chat}~" in name}
        if any(f"~{chat}~" in name for name in world.storage.abandoned):
            continue
        for fault in check_screen(world, chat, there):
            world.fail(f"{chat}: {fault}")


def _damage(world: World, name: str, content: bytes) -> Iterator[str]:
    findings = list(verify(name.removesuffix(".jsonl"), lambda: cut_lines([content])))
    damage = [finding.text for finding in findings if finding.is_damage]
    if len(damage) > world.torn.get(name, 0):
        yield f"{len(damage)} damaged lines, and {world.torn.get(name, 0)} were torn: {damage}"
    yield from (finding.text for finding in findings if "pending" in finding.text or "no delivery" in finding.text)


def _delivery_faults(world: World, files: dict[str, list[Record]]) -> Iterator[str]:
    """Every message that a person sent stands in its session once."""
    for update in world.platform.updates:
        if not update.is_acked:
            yield f"{update} was never confirmed"
        if not isinstance(update.inbound, InboundMessage):
            continue
        name = f"{session_key(update.inbound, world.script.scope).file_name}.jsonl"
        if name in world.storage.abandoned:
            continue
        many = sum(
            (record.get("source") or {}).get("message_id") == update.inbound.message_id
            for record in files.get(name, [])
            if record["type"] in ("message", "command")
        )
        if many != 1:
            yield f"{update} stands {many} times in {name}"


def _session_faults(world: World, records: list[Record]) -> Iterator[str]:
    ends = [record for record in records if _is_end(record)]
    answered = Counter(seq for record in ends for seq in record["answers"])
    delivered = Counter(record["of"] for record in records if record["type"] == "delivery")
    deleted = {record["of"] for record in records if record["type"] == "delete"}
    for record in records:
        seq = record["seq"]
        if record.get("role") == "user":
            if answered[seq] != 1 and not (answered[seq] == 0 and seq in deleted):
                yield f"message {seq} has {answered[seq]} ends"
        elif record["type"] == "command":
            ended = answered[seq] + delivered[seq]
            if (ended != 1 and not (ended == 0 and seq in deleted)) or (answered[seq] and record["name"] != "retry"):
                yield f"/{record['name']} {seq} has {answered[seq]} ends and {delivered[seq]} deliveries"
        elif _is_end(record):
            yield from _end_faults(
                record, records, delivered[seq], is_small=world.script.settings.max_context_tokens < 2_000
            )


def _end_faults(end: Record, records: list[Record], deliveries: int, *, is_small: bool) -> Iterator[str]:
    seq = end["seq"]
    if deliveries != end.get("told", True):
        yield f"the end {seq} has {deliveries} deliveries"
    if end["type"] == "failure" and (end["reason"] == "internal" or end["told"] == (end["reason"] == "superseded")):
        yield f"the failure {seq} has the reason {end['reason']}, and is{'' if end['told'] else ' not'} told"
    if end["type"] == "failure":
        return
    tag = WORD.search(end["content"])
    if tag is None or tag[1] is None:
        yield f"the reply {seq} is not what the model said: {end['content'][:60]!r}"
        return
    answered = [records[of] for of in end["answers"] if records[of]["type"] == "message"]
    if not answered:
        return  # a /retry: what it answers is that of the turn before, which the prompts are checked for
    asked = {token for record in answered for token in tokens(record["content"])}
    deleted = {record["of"] for record in records if record["type"] == "delete"}
    may_lack = {token for record in answered if record["seq"] in deleted for token in tokens(record["content"])}
    said = set(tag[1].split())
    if said - asked or (asked - said - may_lack and not is_small):
        yield f"the reply {seq} answers {sorted(asked)}, and the model was asked {sorted(said)}"


def _is_end(record: Record) -> bool:
    return record["type"] == "failure" or record.get("role") == "assistant"


def _padded(records: list[Record], torn: int) -> list[Record]:
    """Put something in the place of records that a crash may have torn, as many times as it did."""
    padded: list[Record] = []
    for record in records:
        if torn and len(padded) < record["seq"] < len(padded) + MOST_TORN:
            torn -= 1
            padded += ({"type": "torn", "seq": seq} for seq in range(len(padded), record["seq"]))
        padded.append(record)
    return padded


def _out_of_place(records: list[Record]) -> Iterator[str]:
    """Yield what has another place than its seq says, or names what is not before it."""
    for place, record in enumerate(records):
        named = [*record.get("answers", ()), *([record["of"]] if "of" in record else [])]
        if record["seq"] != place:
            yield f"record {record['seq']} stands where {place} comes"
        elif any(seq >= place for seq in named):
            yield f"record {place} names {named}, which are not all before it"

"""This module judges a soak from outside, by the screens and the files: what became of every message.

It asks the daemon nothing. Where a message may have arrived and nobody can tell, a copy with its mark is allowed beside
it; a second one without a mark is not.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.load.crowd import Seen
from tests.soak.books import Range, Record, SessionFile
from tests.soak.daemon import Left
from tests.soak.models import NAME

__all__ = ["Asked", "Evidence", "Verdict", "changed_files", "judge"]

LEARNT_CHARACTERS = 20
"""What is shorter is not learnt from (`memory.min_message_chars`)."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One message that a platform took for the bot."""

    platform: str
    place: Hashable
    text: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is looked at."""

    asked: Mapping[str, Asked]
    """By their names."""
    screens: Mapping[str, Sequence[Seen]]
    """By the platform, what the bot's messages show."""
    files: Sequence[SessionFile]
    learnt: Sequence[Range] = ()
    entries: Sequence[Range] = ()


@dataclass(slots=True)
class Verdict:
    """What was found; the daemon kept its promises where `faults` is empty."""

    written: int = 0
    answered: int = 0
    told: int = 0
    """Questions without a whole answer, of whom somebody was told why."""
    lost: list[str] = field(default_factory=list)
    doubles: list[str] = field(default_factory=list)
    """Questions that more than one message without a mark answers."""
    copies: int = 0
    """Messages that say that they may be copies."""
    uncertain: int = 0
    """Deliveries of which nobody can tell whether they are the first."""
    exchanges: int = 0
    """Answered messages that are long enough to be learnt from."""
    wrongs: list[str] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """Return all that must not be."""
        return [*(f"lost: {one}" for one in self.lost), *(f"twice: {one}" for one in self.doubles), *self.wrongs]


def judge(evidence: Evidence) -> Verdict:
    """Look at everything."""
    verdict = Verdict(written=len(evidence.asked))
    shown = _by_name(evidence)
    on_record = Counter(name for file in evidence.files for name, _ in file.asked)
    for name in evidence.asked:
        if on_record[name] == 0:
            verdict.lost.append(f"{name} was never taken in")
        elif on_record[name] > 1:
            verdict.wrongs.append(f"{name} is on record {on_record[name]} times")
        _judge_screen(name, evidence.asked[name], shown[name], verdict)
    verdict.copies = sum(seen.is_copy for screen in evidence.screens.values() for seen in screen)
    for file in evidence.files:
        verdict.wrongs += _file_faults(file)
        _judge_ends(file, evidence, shown, verdict)
    _judge_rest(evidence, verdict)
    _judge_memory(evidence, verdict)
    return verdict


def changed_files(left: Sequence[Mapping[str, Left]], contents: Mapping[str, bytes]) -> Iterator[str]:
    """Yield the files that do not begin with what a kill left of them."""
    for number, kill in enumerate(left, 1):
        for name, was in kill.items():
            if hashlib.sha256(contents.get(name, b"")[: was.size]).digest() != was.digest:
                yield f"bytes of {name} that kill {number} left have changed"


def _by_name(evidence: Evidence) -> Mapping[str, list[Seen]]:
    shown: dict[str, list[Seen]] = defaultdict(list)
    for screen in evidence.screens.values():
        for seen in screen:
            for name in set(seen.names):
                shown[name].append(seen)
    return shown


def _judge_screen(name: str, asked: Asked, shown: Sequence[Seen], verdict: Verdict) -> None:
    """Where it was asked, and once, but for copies with a mark."""
    if sum(not seen.is_copy for seen in shown) > 1:
        verdict.doubles.append(name)
    verdict.wrongs += [f"{name} is answered elsewhere" for seen in shown if seen.place != asked.place]


def _file_faults(file: SessionFile) -> Iterator[str]:
    seqs = [record["seq"] for record in file.records]
    if seqs != list(range(len(seqs))):
        yield f"{file.name}: seqs have a gap"
    if not file.is_closed:
        yield f"{file.name}: the last line is open"
    people = {found[1] for name, _ in file.asked if (found := NAME.fullmatch(name))}
    if len(people) > 1:
        yield f"{file.name}: holds words of several people"
    ids = Counter(record["source"]["message_id"] for _, record in file.asked)
    yield from (f"{file.name}: message {one} is on record twice" for one, count in ids.items() if count > 1)
    delivered = Counter(delivery["of"] for delivery in file.deliveries)
    yield from (f"{file.name}: {of} is delivered twice" for of, count in delivered.items() if count > 1)


def _judge_ends(file: SessionFile, evidence: Evidence, shown: Mapping[str, Sequence[Seen]], verdict: Verdict) -> None:
    """Each question has one end, and that end is seen by who asked."""
    ends: dict[int, list[Record]] = defaultdict(list)
    for end in file.ends:
        for seq in end.get("answers", ()):
            ends[seq].append(end)
    delivered = {delivery["of"]: delivery for delivery in file.deliveries}
    ids = {seen.message_id for seen in evidence.screens[file.channel]}
    verdict.uncertain += sum(delivery["state"] == "uncertain" for delivery in file.deliveries)
    for name, record in file.asked:
        its = ends[record["seq"]]
        if len(its) != 1:
            (verdict.wrongs if its else verdict.lost).append(f"{name} has {len(its)} ends")
            continue
        delivery = delivered.get(its[0]["seq"], {"state": "none", "message_ids": ()})
        is_delivered = delivery["state"] in ("sent", "uncertain") and ids.issuperset(delivery["message_ids"])
        if not is_delivered or not delivery["message_ids"]:
            verdict.lost.append(f"{name}: its {its[0]['type']} is {delivery['state']}, or gone from the screen")
        elif its[0].get("outcome") != "complete":
            verdict.told += 1
        elif any(seen.is_whole for seen in shown[name]):
            verdict.answered += 1
        else:
            verdict.lost.append(f"{name} has no whole answer on the screen")


def _judge_rest(evidence: Evidence, verdict: Verdict) -> None:
    """What no delivery names is the original of a copy, or an attempt that may have arrived."""
    named: dict[str, set[str]] = defaultdict(set)
    doubtful: Counter[str] = Counter()
    for file in evidence.files:
        for delivery in file.deliveries:
            named[file.channel].update(delivery["message_ids"])
            doubtful[file.channel] += delivery["state"] == "uncertain"
    for platform, screen in evidence.screens.items():
        rest = [seen for seen in screen if seen.message_id not in named[platform] and not seen.is_copy]
        if len(rest) > doubtful[platform]:
            verdict.wrongs.append(
                f"{platform}: {len(rest)} messages that nothing tells of, with {doubtful[platform]} in doubt: "
                f"{', '.join(sorted(name for seen in rest for name in seen.names))}"
            )


def _short_ranges(file: SessionFile, learnt: Sequence[Range]) -> Iterator[Range]:
    """Yield the ranges that are not long enough to be learnt from: the messages of a turn count together."""
    for one in learnt:
        texts = [record["content"] for _, record in file.asked if one.first <= record["seq"] <= one.last]
        if texts and sum(map(len, texts)) < LEARNT_CHARACTERS:
            yield one


def _judge_memory(evidence: Evidence, verdict: Verdict) -> None:
    """Each answered message that is long enough is in one range that is learnt, and each such range has one entry.

    A range of what is too short says only that it was looked at: it has none.
    """
    learnt: dict[str, list[Range]] = defaultdict(list)
    short: set[Range] = set()
    for one in evidence.learnt:
        learnt[one.session].append(one)
    for file in evidence.files:
        answers = [end for end in file.ends if end.get("role") == "assistant"]
        answered = {seq for answer in answers for seq in answer["answers"]}
        short |= set(_short_ranges(file, learnt[file.name]))
        for name, record in file.asked:
            if record["seq"] not in answered or len(record["content"]) < LEARNT_CHARACTERS:
                continue
            verdict.exchanges += 1
            count = sum(one.first <= record["seq"] <= one.last for one in learnt[file.name])
            if count != 1:
                verdict.wrongs.append(f"{name} is learnt {count} times")
    entries = Counter(evidence.entries)
    wanted = {one: 0 if one in short else 1 for one in evidence.learnt}
    verdict.wrongs += [f"{one} has {entries[one]} entries" for one, count in wanted.items() if entries[one] != count]
    verdict.wrongs += [f"{one} has an entry, and is not learnt" for one in entries.keys() - set(evidence.learnt)]

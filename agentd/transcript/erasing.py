"""Plans which records of a session go when a person is erased: lines in, a plan out, no I/O.

In a session of the person alone every record becomes `erased`, and the header gets an anonymous key. In one that
several share, these go: the person's messages and commands, edits and deletions of them, the replies whose turn holds
one of them with their drafts and deliveries, and every summary over any of these: its text may hold theirs, and its
digest is of lines that no longer exist. What others wrote, and the replies to them, stay byte for byte.

If an ending also settles messages of others, a `failure` takes its place, or they would be answered again. A `/new` or
an undone summary keeps its effect, and loses who asked for it.

An `erased` record has the time of the person's last message before it: from there on a platform is asked for missed
messages (`hearing`), and not for those just erased.

If a record is lost, nobody knows whose it was: the reply to it goes too, if the person spoke in the session, or is
named in what was set aside of it.

Erasing again changes nothing: nothing of the person's is left.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from operator import itemgetter

import msgspec

from agentd.transcript.clock import format_time, parse_time
from agentd.transcript.key import ERASED, SessionKey
from agentd.transcript.lines import Line
from agentd.transcript.records import (
    FORMAT_VERSION,
    LOST_ENDING,
    UNNUMBERED,
    AssistantMessage,
    Command,
    Compaction,
    Damaged,
    Delete,
    Delivery,
    Draft,
    Edit,
    Erased,
    Failure,
    Record,
    Reset,
    SessionHeader,
    Undo,
    Unknown,
    UserMessage,
    encode_line,
    parse_line,
)

__all__ = ["Erasure", "Stamp", "anonymous", "erase_lines", "plan_erasure"]


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is to be done to one session's file."""

    is_whole: bool
    """Whether the session is the person's alone."""
    key: SessionKey
    """The key for its header."""
    changed: Mapping[int, Record] = field(default_factory=dict)
    """The replacement of each changed record, by seq; in a whole session all are replaced."""
    heard: tuple[tuple[int, str], ...] = ()
    """When the person wrote, by seq."""
    now: str = ""
    """The time for a record that has none."""
    attachments: frozenset[str] = frozenset()
    """Paths of the attachments that go."""
    texts: frozenset[str] = frozenset()
    """The person's words and the replies to them, by which a search checks that nothing is left."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """The values that an erasure writes in place of what it removes."""

    token: str
    """Makes the anonymous key different from all others."""
    now: str
    """The time for a record that has none."""


def anonymous(key: SessionKey, token: str, *, in_group: bool) -> SessionKey:
    """Return an anonymous key for a session of one person; in a group's session the group's id stays."""
    name = f"{ERASED}{token}"
    return SessionKey(key.channel, key.account, key.chat if in_group else name, None, name if key.sender else None)


def plan_erasure(
    key: SessionKey, lines: Iterable[Line], ids: Collection[str], stamp: Stamp, *, is_named: bool = False
) -> Erasure | None:
    """Return what goes of a session; None if nothing of the person's is there.

    `ids` are the person's on this session's channel; `is_named` says that lost or set-aside lines name the person.
    """
    survey = _Survey(key, frozenset(ids), stamp)
    for record, content in _records(lines, stamp.now):
        survey.see(record, content)
    return survey.plan(is_named=is_named)


def erase_lines(lines: Iterable[Line], erasure: Erasure) -> Iterator[bytes]:
    """Yield the lines of the session as erased; unchanged ones byte for byte, with their newlines."""
    if erasure.is_whole:
        yield from _blank(lines, erasure)
        return
    next_seq = 0
    for line in lines:
        content = line.content
        record = parse_line(content) if content and content.strip() else None
        if record is None or isinstance(record, Damaged):
            continue  # was set aside before, and may hold anybody's words
        seq = next_seq if record.seq == UNNUMBERED else record.seq
        next_seq = max(next_seq, seq + 1)
        changed = erasure.changed.get(seq)
        yield encode_line(changed) if changed else (content or b"") + b"\n"


def _blank(lines: Iterable[Line], erasure: Erasure) -> Iterator[bytes]:
    """Yield the header with its new key, and an `erased` record for each other one."""
    seq, key = -1, erasure.key
    for record, _ in _records(lines, erasure.now):
        seq = record.seq
        version = record.version if isinstance(record, SessionHeader) else FORMAT_VERSION
        if seq == 0:
            yield encode_line(SessionHeader(version=version, key=key, seq=0, ts=record.ts))
        else:
            yield encode_line(Erased(seq=seq, ts=_heard_at(erasure.heard, seq) or record.ts))
    if seq < 0:
        yield encode_line(SessionHeader(version=FORMAT_VERSION, key=key, seq=0, ts=erasure.now))


def _records(lines: Iterable[Line], now: str) -> Iterator[tuple[Record | Unknown, bytes]]:
    """Yield the readable records, each with a seq and a time: its own, or that of the one before."""
    next_seq = 0
    for line in lines:
        if not line.content or not line.content.strip():
            continue
        record = parse_line(line.content)
        if isinstance(record, Damaged):
            continue
        seq = next_seq if record.seq == UNNUMBERED else record.seq
        record = msgspec.structs.replace(record, seq=seq, ts=record.ts or now)
        next_seq, now = max(next_seq, seq + 1), record.ts
        yield record, line.content


class _Survey:
    """Collects in one pass over a session whose it is and which records belong together: seqs, and the person's
    texts.
    """

    def __init__(self, key: SessionKey, ids: frozenset[str], stamp: Stamp) -> None:
        self._key = key
        self._ids = ids
        self._stamp = stamp
        self._needles = [msgspec.json.encode(sender) for sender in ids]
        self._others = False
        self._was_direct = self._was_open = False
        self._heard: list[tuple[int, str]] = []
        """When the person wrote, by seq."""
        self._changed: dict[int, Record] = {}
        self._attachments: set[str] = set()
        self._texts: set[str] = set()
        self._commands: set[int] = set()
        self._last_turn: tuple[int, ...] = ()
        self._tainted: set[int] = set()
        """Seqs whose drafts and deliveries go: of others' messages and commands whose reply goes, and of replaced
        endings.
        """
        self._drafts: list[tuple[int, tuple[int, ...]]] = []
        self._deliveries: list[tuple[int, int]] = []
        self._summaries: list[Compaction] = []
        self._lost: set[int] = set()
        self._doubtful: list[AssistantMessage | Failure] = []

    def see(self, record: Record | Unknown, content: bytes) -> None:
        """Look at the next record."""
        match record:
            case UserMessage() | Command() | Edit() | Delete() | Undo() | Reset():
                self._hear(record)
            case AssistantMessage() | Failure():
                self._end(record)
            case Draft():
                self._drafts.append((record.seq, record.answers))
            case Delivery():
                self._deliveries.append((record.seq, record.of))
            case Compaction():
                self._summaries.append(record)
            case Erased():
                self._lost.add(record.seq)
            case Unknown() if any(needle in content for needle in self._needles):
                self._heard.append((record.seq, record.ts))
                self._erase(record.seq)
            case _:
                pass

    def plan(self, *, is_named: bool) -> Erasure | None:
        """Return the plan, once all records were seen."""
        now = self._stamp.now
        if self._is_whole():
            in_group = self._was_open and self._key.chat not in self._ids
            key = anonymous(self._key, self._stamp.token, in_group=in_group)
            self._texts |= {summary.summary for summary in self._summaries}
            return Erasure(True, key, heard=tuple(self._heard), now=now, texts=frozenset(filter(None, self._texts)))
        if is_named or self._changed:
            for ending in self._doubtful:
                self._take_away(ending, self._lost | self._changed.keys())
        named = self._changed.keys() | self._tainted
        for seq, answers in self._drafts:
            if not named.isdisjoint(answers):
                self._erase(seq)
        for seq, of in self._deliveries:
            if of in named:
                self._erase(seq)
        self._erase_summaries()
        if not self._changed:
            return None
        attachments, texts = (frozenset(filter(None, found)) for found in (self._attachments, self._texts))
        return Erasure(False, self._key, self._changed, tuple(self._heard), now, attachments, texts)

    def _is_whole(self) -> bool:
        if self._key.sender is not None:
            return self._key.sender in self._ids
        is_theirs = self._was_direct or self._key.chat in self._ids
        return is_theirs and not self._others

    def _hear(self, record: UserMessage | Command | Edit | Delete | Undo | Reset) -> None:
        source = record.source
        if isinstance(record, Command):
            self._commands.add(record.seq)
        if isinstance(record, Reset):
            self._last_turn = ()
        is_theirs = source is not None and source.author.id in self._ids
        self._others = self._others or (source is not None and not is_theirs)
        names_theirs = isinstance(record, Edit | Delete) and record.of in self._changed
        if is_theirs and source is not None:
            self._texts.add(source.author.name)
        if source is not None and isinstance(record, UserMessage | Command):
            self._was_direct = self._was_direct or source.direct is True
            self._was_open = self._was_open or source.direct is False
        if isinstance(record, UserMessage) and source is None and self._key.sender in self._ids:
            self._texts.add(record.content)
        if not is_theirs and not names_theirs:
            return
        if isinstance(record, UserMessage | Command):
            self._heard.append((record.seq, _later(record.ts, record.source.sent_at if record.source else "")))
        self._keep_texts(record)
        if isinstance(record, Undo | Reset):
            self._changed[record.seq] = msgspec.structs.replace(record, source=None)
        else:
            self._erase(record.seq)

    def _keep_texts(self, record: UserMessage | Command | Edit | Delete | Undo | Reset) -> None:
        match record:
            case UserMessage():
                self._texts.add(record.content)
                for file in record.attachments:
                    self._texts |= {file.name, file.excerpt}
                    self._attachments.add(file.path)
            case Command():
                self._texts.add(record.args)
            case Edit():
                self._texts.add(record.content)
            case _:
                pass

    def _end(self, record: AssistantMessage | Failure) -> None:
        answers = record.answers
        messages = tuple(seq for seq in answers if seq not in self._commands)
        repeats = not messages and bool(answers) and isinstance(record, AssistantMessage)
        if messages:
            self._last_turn = messages
        about = {*answers, *(self._last_turn if repeats else ())}
        if not about.isdisjoint(self._changed):
            self._take_away(record, self._changed.keys())
        elif not about.isdisjoint(self._lost):
            self._doubtful.append(record)
        elif self._key.sender in self._ids and isinstance(record, AssistantMessage):
            self._texts.add(record.content)

    def _take_away(self, record: AssistantMessage | Failure, gone: Set[int]) -> None:
        """Erase an ending; if it settles messages that stay, replace it by a `failure` that settles those."""
        self._texts.add(record.content if isinstance(record, AssistantMessage) else record.notice)
        rest = tuple(seq for seq in record.answers if seq not in gone)
        self._tainted |= {record.seq, *rest}
        if not rest:
            self._erase(record.seq)
            return
        reason = record.reason if isinstance(record, Failure) else LOST_ENDING
        self._changed[record.seq] = Failure(answers=rest, reason=reason, told=False, seq=record.seq, ts=record.ts)

    def _erase_summaries(self) -> None:
        """Erase the summaries over a changed record or over an erased summary: their digests would be wrong."""
        gone = sorted(self._changed)
        for summary in self._summaries:
            start, end = summary.covers
            first = bisect_left(gone, start)
            if first < len(gone) and gone[first] <= end:
                self._texts.add(summary.summary)
                self._erase(summary.seq)
                insort(gone, summary.seq)

    def _erase(self, seq: int) -> None:
        self._changed[seq] = Erased(seq=seq, ts=_heard_at(self._heard, seq) or self._stamp.now)


def _heard_at(heard: Sequence[tuple[int, str]], seq: int) -> str:
    """Return when the person last wrote before this record; "" if they had not."""
    before = bisect_right(heard, seq, key=itemgetter(0))
    return heard[before - 1][1] if before else ""


def _later(ts: str, sent_at: str) -> str:
    """Return the later of two times: the platform's clock may be ahead."""
    here, there = parse_time(ts), parse_time(sent_at)
    return format_time(there) if here and there and there > here else ts

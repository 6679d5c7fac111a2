"""This module generates random sessions that several people share, as an actor would write them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from hypothesis import strategies as st

from agentd.transcript.clock import format_time
from agentd.transcript.coverage import digest_lines
from agentd.transcript.records import (
    AssistantMessage,
    Author,
    Command,
    Compaction,
    Delete,
    Delivery,
    Draft,
    Edit,
    Failure,
    FileAttachment,
    Record,
    Reset,
    Source,
    Undo,
    UserMessage,
    encode_line,
)
from tests.unit.agentd.transcript.building import History

ADA, BOB, EVE = "ada-1815", "bob-1791", "eve-1912"
PEOPLE = (ADA, BOB, EVE)


class Shared(History):
    """A group's session; every text names whose it is, so that it can be found again."""

    def source(self, author: str) -> Source:
        """Return where a record of this person's came from."""
        number = f"m{len(self.records)}"
        person = Author(id=author, name=f"Name of {author}")
        return Source(chat="chat", message_id=number, sent_at=format_time(self._now), author=person, direct=False)

    def message(self, author: str, *, file: bool = False) -> None:
        """Let a person write."""
        name = f"file-{len(self.records)}-of-{author}"
        files = (FileAttachment(name=name, media_type="text/plain", size_bytes=1, path=name),) if file else ()
        text = f"words {len(self.records)} of {author} \u00e9\u2028"
        self.add(UserMessage(content=text, source=self.source(author), attachments=files))

    def turn(self, *, together: bool = False, draft: bool = True, ending: str = "reply") -> None:
        """Answer what waits: messages of one person, or of all together."""
        waiting = list(self.view.pending.items())
        if not waiting:
            return
        first = waiting[0][1]
        taken = [seq for seq, message in waiting if together or whose(message) == whose(first)]
        self._obey_before(taken[0])
        if draft:
            self.add(Draft(answers=tuple(taken), part=0, state="sending"))
            self.add(Draft(answers=tuple(taken), part=0, state="sent", message_id="p"))
        to = " and ".join(sorted({whose(self.view.pending[seq]) for seq in taken}))
        text = f"answer {len(self.records)} to {to}"
        if ending == "reply":
            of = self.add(AssistantMessage(content=text, answers=tuple(taken)))
        else:
            told = ending == "told"
            reason = "provider"
            of = self.add(Failure(answers=tuple(taken), reason=reason, told=told, notice=text if told else ""))
        if of in self.view.undelivered:
            self.add(Delivery(of=of, message_ids=("p",), state="sent"))

    def order(self, author: str, name: str) -> int:
        """Let a person give a command."""
        return self.add(Command(name=name, args=f"args of {author}", source=self.source(author)))

    def again(self, author: str) -> None:
        """Let a person have the last turn answered once more."""
        last = self.view.last_ended
        if self.view.pending or last is None:
            return
        seq = self.order(author, "retry")
        to = " and ".join(sorted({author, *map(whose, last.messages)}))
        self.add(Draft(answers=(seq,), part=0, state="sending"))
        self.add(Draft(answers=(seq,), part=0, state="sent", message_id="p"))
        of = self.add(AssistantMessage(content=f"answer {len(self.records)} to {to}", answers=(seq,)))
        self.add(Delivery(of=of, message_ids=("p",), state="sent"))

    def anew(self, author: str) -> None:
        """Let a person begin a new conversation; what comes behind the command belongs to it."""
        seq = self.order(author, "new")
        waiting = tuple(of for of in self.view.pending if of < seq)
        if waiting:
            self.add(Failure(answers=waiting, reason="superseded", told=False))
        self.message(BOB)
        self.add(Reset(reason="new", source=self.view.commands[seq].source))
        self.add(Delivery(of=seq, message_ids=("p",), state="sent"))

    def summarise(self, keep: int) -> None:
        """Cover all turns but the last few."""
        covered = self.view.turns[: max(len(self.view.turns) - keep, 0)]
        if not covered or self.view.pending:
            return
        first = min(message.seq for turn in self.view.turns for message in turn.messages)
        start = self.view.summary.covers[0] if self.view.summary else first
        to = max(message.seq for turn in covered for message in turn.messages)
        if to <= (self.view.summary.covers[1] if self.view.summary else -1):
            return
        lines = [encode_line(record)[:-1] for record in self.records[start : to + 1]]
        said = " ".join(f"summary of {whose(message)}" for turn in covered for message in turn.messages)
        self.add(Compaction(covers=(start, to), digest=digest_lines(lines), summary=said))

    def take_back(self, author: str) -> None:
        """Let a person revoke the summary in force."""
        if self.view.summary is not None:
            seq = self.order(author, "compact")
            self.add(Undo(of=self.view.summary.seq, source=self.view.commands[seq].source))
            self.add(Delivery(of=seq, message_ids=("p",), state="sent"))

    def alter(self, back: int, *, deleted: bool) -> None:
        """Let the author of a message change it, or take it back."""
        alive = [m for turn in self.view.live_turns for m in turn.messages] + list(self.view.pending.values())
        if not alive:
            return
        message = alive[max(len(alive) - 1 - back, 0)]
        author = whose(message)
        when, source = format_time(self._now), self.source(author)
        if deleted:
            self.add(Delete(of=message.seq, edited_at=when, source=source))
        else:
            text = f"other words {len(self.records)} of {author}"
            self.add(Edit(of=message.seq, content=text, edited_at=when, source=source))


def whose(message: UserMessage) -> str:
    """Return who wrote it."""
    assert message.source is not None
    return message.source.author.id


def seqs_of(records: Iterable[Record]) -> list[int]:
    return [record.seq for record in records]


Step = tuple[str, Any, Any]

_people = st.sampled_from(PEOPLE)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("message"), _people, st.booleans()),
        st.tuples(st.just("message"), _people, st.booleans()),
        st.tuples(st.just("turn"), st.booleans(), st.sampled_from(["reply", "reply", "told", "silent"])),
        st.tuples(st.just("again"), _people, st.none()),
        st.tuples(st.just("anew"), _people, st.none()),
        st.tuples(st.just("summarise"), st.integers(0, 2), st.none()),
        st.tuples(st.just("take_back"), _people, st.none()),
        st.tuples(st.just("alter"), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("status"), _people, st.none()),
    ),
    min_size=3,
    max_size=40,
)
"""What happens in a group, one thing after the other."""


def play(happened: Iterable[Step]) -> Shared:
    """Write the session that comes of it."""
    history = Shared()
    deeds: dict[str, Callable[[Any, Any], object]] = {
        "message": lambda who, file: history.message(who, file=file),
        "turn": lambda together, ending: history.turn(together=together, ending=ending),
        "again": lambda who, _: history.again(who),
        "anew": lambda who, _: history.anew(who),
        "summarise": lambda keep, _: history.summarise(keep),
        "take_back": lambda who, _: history.take_back(who),
        "alter": lambda back, deleted: history.alter(back, deleted=deleted),
        "status": lambda who, _: _status(history, who),
    }
    for name, first, second in happened:
        deeds[name](first, second)
    return history


def _status(history: Shared, author: str) -> None:
    seq = history.order(author, "status")
    history.add(Delivery(of=seq, message_ids=("p",), state="sent"))


def as_lines(records: Iterable[Record]) -> list[bytes]:
    """Return the lines of the file."""
    return [encode_line(msgspec.structs.replace(record)) for record in records]

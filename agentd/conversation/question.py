"""Decides which waiting messages form the next question, and which of them are stale.

Stale is what was sent so long ago that it is no longer answered unasked; its senders get one notice instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from msgspec import UNSET

from agentd.conversation.notices import stale_retry_text, stale_text
from agentd.conversation.outbox import Outbox
from agentd.conversation.quiet import BACKLOG_SECONDS, PART_SECONDS
from agentd.transcript.clock import parse_time
from agentd.transcript.records import Command, Failure, UserMessage
from agentd.transcript.view import Transcript
from agentd.transcript.view import Turn as PastTurn
from channels.base import InboundMessage

__all__ = [
    "RETRY",
    "Question",
    "announced_seconds",
    "is_stale",
    "is_unfinished",
    "next_question",
    "settle_stale",
    "settle_unread",
    "stale_question",
    "unread_files",
    "waiting_before",
]


RETRY = "retry"

BARRIERS = frozenset({"new", "stop"})
"""Commands that end everything sent before them, and nothing sent after."""


@dataclass(frozen=True, slots=True)
class Question:
    """What the next turn answers: waiting messages, or with `/retry` the last turn's messages once more."""

    messages: tuple[UserMessage, ...]
    answers: tuple[int, ...]
    """The seqs that the turn's ending settles: those of the messages, or that of `/retry`."""
    trace: str
    retries: bool = False

    @property
    def author(self) -> str:
        """Return the platform's id of who wrote the last message; "" if that is not on record."""
        return _author(self.messages[-1]) or ""

    @property
    def figures(self) -> dict[str, object]:
        """Return the values to log; `joined` holds the traces of older messages that go on under the newest one's
        trace.
        """
        joined = [message.trace for message in self.messages if message.trace != self.trace and not self.retries]
        return {"messages": len(self.messages), "retries": self.retries, "joined": joined}

    def is_current(self, view: Transcript) -> bool:
        """Tell whether its messages still read as they did: none of them was edited or deleted since."""
        if self.retries:
            return view.last_ended is not None and view.last_ended.messages == self.messages
        return all(view.pending.get(message.seq) == message for message in self.messages)

    def earlier(self, turns: Sequence[PastTurn]) -> list[PastTurn]:
        """Return the past turns that the prompt shows before this question: with `/retry`, without the retried one."""
        asked = self.messages[0].seq
        return [turn for turn in turns if not (self.retries and turn.messages[0].seq == asked)]


def next_question(view: Transcript, most: int) -> Question | None:
    """Return what may be answered now, oldest first: at most `most` messages, or one `/retry`; None if nothing.

    Messages after a `/new` or `/stop` that is still to be obeyed have to wait, and so do those after a `/retry`.
    """
    barriers = [seq for seq, command in view.commands.items() if command.name in BARRIERS and seq not in view.acted]
    retry = next((command for command in view.commands.values() if command.name == RETRY), None)
    first = min((*barriers, retry.seq if retry else view.next_seq), default=view.next_seq)
    messages = _asked_together([message for seq, message in view.pending.items() if seq < first], most)
    if messages:
        return _build_question(messages, view)
    if retry is not None and retry.seq == first:
        asked = view.last_ended.messages if view.last_ended else ()
        return Question(asked, (retry.seq,), retry.trace, retries=True)
    return None


def stale_question(view: Transcript, question: Question, now: datetime, limit_minutes: float) -> Question | None:
    """Return everything stale that waits, if all of this question is stale; else None."""
    if question.retries:
        command = view.commands[question.answers[0]]
        return question if _is_stale(command, now, limit_minutes) else None
    if not all(_is_stale(message, now, limit_minutes) for message in question.messages):
        return None
    first = question.messages[0].seq
    waiting = (message for seq, message in view.pending.items() if seq >= first)
    return _build_question(tuple(takewhile(lambda message: _is_stale(message, now, limit_minutes), waiting)), view)


def _build_question(messages: tuple[UserMessage, ...], view: Transcript) -> Question:
    seqs = tuple(message.seq for message in messages)
    # A reply that an earlier run began may also name a message that its author has deleted since.
    return Question(messages, tuple(dict.fromkeys((*view.begun_for(seqs), *seqs))), messages[-1].trace)


def _asked_together(waiting: Sequence[UserMessage], most: int) -> tuple[UserMessage, ...]:
    """Return the first messages, all of one author: at most `most`, plus further parts of the last (album, paste)."""
    taken: list[UserMessage] = []
    for message in waiting:
        if taken and _author(message) != _author(taken[0]):
            break
        if len(taken) >= most and not _continues(message, taken[-1]):
            break
        taken.append(message)
    return tuple(taken)


def _continues(message: UserMessage, before: UserMessage) -> bool:
    """Tell whether a message is a further part of the album or of the cut text that the one before belongs to."""
    if before.album is not UNSET:
        return message.album == before.album
    return before.goes_on is True


def is_unfinished(view: Transcript) -> bool:
    """Tell whether the newest waiting message announced that more of it was about to come."""
    return bool(view.pending) and view.pending[max(view.pending)].goes_on is True


def _author(message: UserMessage) -> str | None:
    return message.source.author.id if message.source else None


def waiting_before(command: Command, view: Transcript) -> tuple[int, ...]:
    """Return the seqs of all messages and `/retry`s that came before a command and are not settled.

    Includes what a begun reply to them names of messages that their author has deleted since.
    """
    retries = [seq for seq, waiting in view.commands.items() if waiting.name == RETRY]
    seqs = [seq for seq in (*view.pending, *retries) if seq < command.seq]
    return tuple(sorted({*view.begun_for(seqs), *seqs}))


def is_stale(inbound: InboundMessage, now: datetime, limit_minutes: float) -> bool:
    """Tell whether an incoming message was sent too long ago to be answered unasked."""
    return (now - inbound.sent_at).total_seconds() > limit_minutes * 60


def announced_seconds(inbound: InboundMessage, now: datetime, limit_minutes: float) -> float:
    """Return how long the next turn should wait for the rest that this message announces; 0 if it announces nothing."""
    if inbound.goes_on:
        return PART_SECONDS
    return BACKLOG_SECONDS if is_stale(inbound, now, limit_minutes) else 0.0


def _is_stale(message: UserMessage | Command, now: datetime, limit_minutes: float) -> bool:
    """Tell whether a message, or `/retry`, was sent too long ago (by the platform's clock) to be answered unasked."""
    sent_at = parse_time(message.source.sent_at) if message.source else None
    return sent_at is not None and (now - sent_at).total_seconds() > limit_minutes * 60


def unread_files(question: Question) -> tuple[str, ...]:
    """Return why each file is unreadable, if the question consists of such files alone; else nothing."""
    if question.retries or any(message.content.strip() for message in question.messages):
        return ()
    files = [file for message in question.messages for file in message.attachments]
    return tuple(dict.fromkeys(file.unread for file in files)) if all(file.unread for file in files) else ()


async def settle_unread(question: Question, why: tuple[str, ...], outbox: Outbox) -> None:
    """Settle a question that consists of unreadable files, with a notice that says why for each."""
    notice = "\n".join(why)
    failure = Failure(answers=question.answers, reason="unsupported", told=True, notice=notice, trace=question.trace)
    await outbox.settle(outbox.reply_to(*question.answers), failure, notice)


async def settle_stale(question: Question, limit_minutes: float, outbox: Outbox) -> None:
    """Settle stale messages with one notice for all of them."""
    notice = stale_retry_text(limit_minutes) if question.retries else stale_text(question.messages, limit_minutes)
    failure = Failure(answers=question.answers, reason="stale", told=True, notice=notice, trace=question.trace)
    await outbox.settle(outbox.reply_to(*question.answers), failure, notice)

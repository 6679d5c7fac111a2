"""What comes in: a platform's message as a record, and the policy for messages found too late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from agentd.conversation.commands import parse_command
from agentd.conversation.notices import stale_text
from agentd.conversation.outbox import Outbox
from agentd.transcript.clock import format_time, parse_time
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Command, Delete, Edit, Failure, FileAttachment, Source, UserMessage
from agentd.transcript.view import Transcript
from channels.base import Inbound, InboundDelete, InboundEdit, InboundMessage

__all__ = ["build_change", "build_record", "is_stale", "ready_messages", "session_key", "settle_stale"]


BARRIERS = frozenset({"new", "stop"})
"""Commands that end what came before them, and nothing that came after."""


def session_key(inbound: Inbound, scope: str) -> SessionKey:
    """Return whose conversation a message belongs to: its sender's in this chat, or the whole chat's."""
    to = inbound.address
    sender = inbound.author.id if scope == "sender" else None
    return SessionKey(to.channel, to.account, to.chat, to.thread, sender)


def build_record(inbound: InboundMessage, trace: str) -> UserMessage | Command:
    """Return the record of a message, or of the command that it is."""
    source = _source(inbound, inbound.sent_at)
    command = parse_command(inbound.text)
    if command is not None:
        return Command(name=command.name, args=command.args, source=source, trace=trace)
    attachments = tuple(
        FileAttachment(name=file.name, media_type=file.media_type, size_bytes=file.size_bytes, path=file.path)
        for file in inbound.attachments
    )
    return UserMessage(content=inbound.text, source=source, attachments=attachments, trace=trace)


def build_change(inbound: InboundEdit | InboundDelete, of: int) -> Edit | Delete:
    """Return the record of what an author did to a message, whose seq is `of`, after sending it."""
    when = inbound.edited_at if isinstance(inbound, InboundEdit) else inbound.deleted_at
    source = _source(inbound, when)
    if isinstance(inbound, InboundEdit):
        return Edit(of=of, content=inbound.text, edited_at=format_time(when), source=source)
    return Delete(of=of, edited_at=format_time(when), source=source)


def _source(inbound: Inbound, when: datetime) -> Source:
    return Source(
        chat=inbound.address.chat,
        message_id=inbound.message_id,
        sent_at=format_time(when),
        author=Author(id=inbound.author.id, name=inbound.author.name),
    )


def ready_messages(view: Transcript) -> list[UserMessage]:
    """Return what waits and may be answered now: nothing that came after a `/new` or `/stop` still to be obeyed."""
    barriers = [seq for seq, command in view.commands.items() if command.name in BARRIERS and seq not in view.acted]
    first = min(barriers, default=view.next_seq)
    return [message for seq, message in view.pending.items() if seq < first]


def is_stale(message: UserMessage, now: datetime, limit_minutes: float) -> bool:
    """Tell whether a message was sent too long ago, by its platform's clock, to be answered unasked."""
    sent_at = parse_time(message.source.sent_at) if message.source else None
    return sent_at is not None and (now - sent_at).total_seconds() > limit_minutes * 60


async def settle_stale(messages: Sequence[UserMessage], limit_minutes: float, outbox: Outbox) -> None:
    """End messages that nobody may want answered any more with one notice for all."""
    answers = tuple(message.seq for message in messages)
    notice = stale_text(messages, limit_minutes)
    failure = Failure(answers=answers, reason="stale", told=True, notice=notice, trace=messages[-1].trace)
    await outbox.settle(outbox.reply_to(*answers), failure, notice)

"""Turns a platform's message, edit or deletion into a record, and finds the session that it belongs to."""

from __future__ import annotations

from datetime import datetime

from msgspec import UNSET

from agentd.conversation.commands import parse_command
from agentd.transcript.clock import format_time
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Author, Command, Delete, Edit, FileAttachment, Source, UserMessage
from channels.base import FromPerson, InboundDelete, InboundEdit, InboundMessage

__all__ = ["build_change", "build_record", "session_key"]

MOST_NAME_CHARACTERS = 200
"""Longest name of a person on record, which is for people to read: platforms allow 64 to 129."""


def session_key(inbound: FromPerson, scope: str) -> SessionKey:
    """Return the session that a message belongs to: its sender's in this chat, or (scope `chat`) the whole chat's."""
    to = inbound.address
    sender = inbound.author.id if scope == "sender" else None
    return SessionKey(to.channel, to.account, to.chat, to.thread, sender)


def build_record(
    inbound: InboundMessage, trace: str, attachments: tuple[FileAttachment, ...] = ()
) -> UserMessage | Command:
    """Return the record of a message: a command if it parses as one."""
    source = _source(inbound, inbound.sent_at)
    command = parse_command(inbound.text)
    if command is not None:
        return Command(name=command.name, args=command.args, source=source, trace=trace)
    return UserMessage(
        content=inbound.text,
        source=source,
        attachments=attachments,
        album=inbound.album or UNSET,
        goes_on=inbound.goes_on or UNSET,
        trace=trace,
    )


def build_change(inbound: InboundEdit | InboundDelete, of: int) -> Edit | Delete:
    """Return the record of an author's later edit or deletion of the message with seq `of`."""
    when = inbound.edited_at if isinstance(inbound, InboundEdit) else inbound.deleted_at
    source = _source(inbound, when)
    if isinstance(inbound, InboundEdit):
        return Edit(of=of, content=inbound.text, edited_at=format_time(when), source=source)
    return Delete(of=of, edited_at=format_time(when), source=source)


def _source(inbound: FromPerson, when: datetime) -> Source:
    return Source(
        chat=inbound.address.chat,
        message_id=inbound.message_id,
        sent_at=format_time(when),
        author=Author(id=inbound.author.id, name=inbound.author.name[:MOST_NAME_CHARACTERS]),
        direct=inbound.is_direct,
    )

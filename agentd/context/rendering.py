"""Renders a turn as prompt text: messages with authors and files, and bracketed notes for what is missing.

A turn without a reply has a note in the reply's place, so that the model neither answers it now nor takes it for
unanswered. No text can imitate an author line, or end a file before its end (prompt injection).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentd.context.images import is_showable
from agentd.transcript.records import LOST_ENDING, AssistantMessage, Failure, FileAttachment, UserMessage

__all__ = ["INTERRUPTED_NOTE", "render_ending", "render_messages"]

END = "[End of "
END_WITHIN = "(End of "
"""Replaces `END` within a file, so that its text cannot seem to end early."""

FROM = re.compile(r"\[(?=\W*from\b)", re.IGNORECASE)
"""What could begin an author line: in a message, its bracket becomes a parenthesis."""

CUT_FILE_NOTE = ", of which only the beginning stands here"
MOST_NAME_CHARACTERS = 100
BYTE_ORDER_MARK = "\ufeff"

_NO_BRACKETS = str.maketrans("[]", "()")

INTERRUPTED_NOTE = "\n[This reply was cut short.]"


def render_messages(messages: Sequence[UserMessage], *, names_authors: bool) -> str:
    """Return what the messages of one turn say, with the author of each if several people share the conversation."""
    return "\n\n".join(_said_by_author(message) if names_authors else _said(message) for message in messages)


def render_ending(end: AssistantMessage | Failure | None) -> str:
    """Return a turn's reply, or a note about why it has none."""
    match end:
        case AssistantMessage(outcome="interrupted"):
            return end.content + INTERRUPTED_NOTE
        case AssistantMessage():
            return end.content
        case Failure(reason=reason) if reason == LOST_ENDING:
            return "[What was said here is lost.]"
        case Failure():
            return f"[No reply was given: {end.reason}.]"
    return "[No reply was given.]"


def _said_by_author(message: UserMessage) -> str:
    """Put the author line before a message: the id first, which nobody chooses; the text can hold no such line."""
    text = FROM.sub("(", _said(message))
    if message.source is None:
        return text
    author = message.source.author
    return f"[From {_on_its_line(author.id)}, {_on_its_line(author.name)}:]\n{text}"


def _said(message: UserMessage) -> str:
    files = [_enclosed(file) for file in message.attachments]
    return "\n".join([message.content, *files] if message.content else files)


def _enclosed(file: FileAttachment) -> str:
    """Describe a file of a message; its name, chosen by its sender, is kept on one line."""
    name, kind = _on_its_line(file.name), _on_its_line(file.media_type)
    if file.excerpt:
        more = "" if len(file.excerpt.encode()) >= file.size_bytes else CUT_FILE_NOTE
        text = file.excerpt.removeprefix(BYTE_ORDER_MARK).replace(END, END_WITHIN)
        return f"[File {name}:]\n{text}\n{END}{name}{more}.]"
    if file.unread:
        what = f"{name} ({kind})" if kind else name
        return f"[{what} came with this message; it cannot be read here.]"
    if is_showable(file):
        return f"[Image {name}.]"
    return f"[File {name} ({kind}, {file.size_bytes} bytes); its content cannot be read here.]"


def _on_its_line(word: str) -> str:
    """Return a sender's word without brackets, line ends and control characters, on one line."""
    shown = "".join(character if character.isprintable() else " " for character in word.translate(_NO_BRACKETS))
    return " ".join(shown.split())[:MOST_NAME_CHARACTERS]

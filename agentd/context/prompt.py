"""The prompt of a turn: system, the newest turns that fit, and the message to answer, always last.

Roles alternate: every settled turn is a user message and an assistant message. A turn that ended without a reply
has a bracketed note in its place, so that the model neither answers it now nor takes it for unanswered. A text
larger than its share is cut in the middle, with a note that says so. The prompt's order is that of turns.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agentd.context.cutting import cut_to_fit
from agentd.context.images import is_showable
from agentd.context.tokens import MESSAGE_OVERHEAD_TOKENS, estimate_tokens, may_fit
from agentd.providers.base import PromptMessage
from agentd.transcript.records import LOST_ENDING, AssistantMessage, Failure, FileAttachment, UserMessage
from agentd.transcript.view import Turn

__all__ = ["Prompt", "build_prompt", "estimate_prompt"]

OMITTED_NOTE = "\n\n[Earlier turns of this conversation are left out here: they do not fit.]"
END = "[End of "
END_WITHIN = "(End of "
"""What stands for it in a file: a text must not seem to end before it does."""

FROM = re.compile(r"\[(?=\W*from\b)", re.IGNORECASE)
"""What could begin a line that says who wrote: in a message, a parenthesis stands for the bracket."""

CUT_FILE_NOTE = ", of which only the beginning stands here"
MOST_NAME_CHARACTERS = 100
BYTE_ORDER_MARK = "\ufeff"

_NO_BRACKETS = str.maketrans("[]", "()")

INTERRUPTED_NOTE = "\n[This reply was cut short.]"


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent, and how many settled turns had to be left out."""

    messages: tuple[PromptMessage, ...]
    omitted_turns: int


def build_prompt(
    system: str,
    turns: Sequence[Turn],
    newest: Sequence[UserMessage],
    budget_tokens: int,
    *,
    names_authors: bool = False,
) -> Prompt:
    """Put together a prompt of at most `budget_tokens` by estimate; the newest messages come first in the sharing.

    `names_authors`: before each message stands who wrote it, for conversations that several people share.
    """
    head = PromptMessage("system", cut_to_fit(system, budget_tokens // 2))
    room = budget_tokens - _cost(head) - estimate_tokens(OMITTED_NOTE)
    last = PromptMessage("user", cut_to_fit(_joined(newest, names_authors), room - MESSAGE_OVERHEAD_TOKENS))
    room -= _cost(last)
    kept: list[PromptMessage] = []
    omitted = len(turns)
    for turn in reversed(turns):
        pair = _pair(turn, names_authors)
        if not all(may_fit(message.content, room) for message in pair):
            break
        room -= estimate_prompt(pair)
        if room < 0:
            break
        kept[:0] = pair
        omitted -= 1
    if omitted:
        head = PromptMessage("system", head.content + OMITTED_NOTE)
    return Prompt((head, *kept, last), omitted)


def estimate_prompt(messages: Sequence[PromptMessage]) -> int:
    """Return about how many tokens these messages cost, with what a chat template adds."""
    return sum(map(_cost, messages))


def _pair(turn: Turn, names_authors: bool) -> tuple[PromptMessage, PromptMessage]:
    return PromptMessage("user", _joined(turn.messages, names_authors)), PromptMessage("assistant", _ending(turn.end))


def _joined(messages: Sequence[UserMessage], names_authors: bool) -> str:
    return "\n\n".join(_said_by_author(message) if names_authors else _said(message) for message in messages)


def _said_by_author(message: UserMessage) -> str:
    """Put before a message who wrote it: first the id, which nobody chooses; its text holds no such line."""
    text = FROM.sub("(", _said(message))
    if message.source is None:
        return text
    author = message.source.author
    return f"[From {_on_its_line(author.id)}, {_on_its_line(author.name)}:]\n{text}"


def _said(message: UserMessage) -> str:
    files = [_enclosed(file) for file in message.attachments]
    return "\n".join([message.content, *files] if message.content else files)


def _enclosed(file: FileAttachment) -> str:
    """Say what came with a message; a name is its sender's word for it, and stays on its line."""
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
    """Return a sender's word without what could end its line, or its brackets, or change what stands behind it."""
    shown = "".join(character if character.isprintable() else " " for character in word.translate(_NO_BRACKETS))
    return " ".join(shown.split())[:MOST_NAME_CHARACTERS]


def _ending(end: AssistantMessage | Failure | None) -> str:
    match end:
        case AssistantMessage(outcome="interrupted"):
            return end.content + INTERRUPTED_NOTE
        case AssistantMessage():
            return end.content
        case Failure(reason=reason) if reason == LOST_ENDING:
            return "[What was said here is lost.]"
        case Failure():
            return f"[No reply was given: {end.reason}.]"
        case None:
            return "[No reply was given.]"


def _cost(message: PromptMessage) -> int:
    return estimate_tokens(message.content) + MESSAGE_OVERHEAD_TOKENS

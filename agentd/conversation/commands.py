"""The slash commands (`/new`, `/stop`, ...): their list, how a message is parsed as one, and the texts of `/help`,
`/start` and `/status`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentd.transcript.view import Transcript
from channels.tools import Argument

__all__ = [
    "ARGUMENTS",
    "COMMANDS",
    "ParsedCommand",
    "Room",
    "help_text",
    "parse_command",
    "start_text",
    "status_text",
    "unknown_text",
]

COMMANDS = {
    "new": "start a new conversation; what was said stays on disk",
    "stop": "stop the reply that is being made",
    "retry": "answer my last message once more; that answer takes the place of the one before",
    "compact": "summarise what is old in this conversation; /compact undo brings it back",
    "memory": "show what I know of you; /memory why 4, /memory search WORDS",
    "remember": "keep what stands behind it",
    "forget": "remove entries that /memory shows, by their numbers",
    "status": "show this conversation's size and the model",
    "link": "make this account and another of yours one person; /link off takes it back",
    "help": "show this list",
}

ARGUMENTS = {
    "compact": Argument("undo: bring back what the last summary stands for"),
    "link": Argument("the code that your other account was given, or: off"),
    "memory": Argument("a page's number, or: why NUMBER, or: search WORDS"),
    "remember": Argument("what I shall remember", is_needed=True),
    "forget": Argument("the numbers of entries, as /memory shows them", is_needed=True),
}
"""The arguments that commands take, for platforms that ask for them when a command is typed (Discord)."""

BAR_CELLS = 10

_COMMAND = re.compile(r"/([A-Za-z][A-Za-z0-9_]{0,31})(?:@\w+)?(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ParsedCommand:
    """A command's name in lower case, and the text after it."""

    name: str
    args: str


def parse_command(text: str) -> ParsedCommand | None:
    """Read a command; None for anything else, a path such as `/etc/hosts` included."""
    found = _COMMAND.fullmatch(text.strip())
    return ParsedCommand(found[1].lower(), (found[2] or "").strip()) if found else None


def help_text() -> str:
    """List the commands, one per line."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"/{name:<{width}}  {does}" for name, does in COMMANDS.items())


def start_text() -> str:
    """Greet somebody who has just found the bot."""
    return f"Write a message, and I answer. There are commands too:\n{help_text()}"


def unknown_text(name: str) -> str:
    """Say that there is no such command, and which there are."""
    return f"There is no command /{name}. These exist:\n{help_text()}"


@dataclass(frozen=True, slots=True)
class Room:
    """How full a conversation's context is, in tokens as the model counts them, and the state of its compaction."""

    tokens: int
    budget_tokens: int
    fault: str = ""
    """Why the last attempt at a summary failed; "" if it did not."""
    pause_seconds: float = 0.0
    """How long until the next attempt."""
    is_summarising: bool = False


def status_text(view: Transcript, room: Room, *, model: str) -> str:
    """Describe the conversation: its turns, the share of the context that it fills, its summary, the model."""
    share = room.tokens / max(room.budget_tokens, 1)
    filled = min(round(share * BAR_CELLS), BAR_CELLS)
    lines = [
        f"Model: {model}",
        f"Conversation: {_count(len(view.live_turns), 'turn')}, {_count(len(view.pending), 'message')} waiting",
        f"Context: {'▓' * filled}{'░' * (BAR_CELLS - filled)} {share:.0%}, "
        f"about {room.tokens} of {room.budget_tokens} tokens",
        f"Summary: {_summary(view, room)}",
    ]
    if view.damaged_lines:
        lines.append(f"Damaged lines in the session's file: {view.damaged_lines}")
    return "\n".join(lines)


def _summary(view: Transcript, room: Room) -> str:
    made = view.summary
    said = f"stands for all before {made.ts[:10]}, by {made.model}" if made else "none yet"
    if view.is_undone:
        said = f"{said}; the last one was undone"
    if room.is_summarising:
        return f"{said}; one is being made"
    if room.fault:
        wait = f"I try again in {round(room.pause_seconds)} s" if room.pause_seconds else "I try again when it is due"
        return f"{said}. The last try failed: {room.fault.rstrip('.')}. {wait}; nothing is lost, all of it is on disk"
    return said


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

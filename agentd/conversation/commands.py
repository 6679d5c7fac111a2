"""Commands: a message that begins with a slash and a name, and what is said in answer to each."""

from __future__ import annotations

import re
from dataclasses import dataclass

from agentd.context.prompt import estimate_prompt
from agentd.providers.base import PromptMessage
from agentd.transcript.view import Transcript

__all__ = ["COMMANDS", "ParsedCommand", "help_text", "parse_command", "start_text", "status_text", "unknown_text"]

COMMANDS = {
    "new": "start a new conversation; what was said stays on disk",
    "stop": "stop the reply that is being made",
    "retry": "answer my last message once more; that answer takes the place of the one before",
    "status": "show this conversation's size and the model",
    "help": "show this list",
}

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
    """List the commands, one a line."""
    width = max(map(len, COMMANDS))
    return "\n".join(f"/{name:<{width}}  {does}" for name, does in COMMANDS.items())


def start_text() -> str:
    """Greet somebody who has just found the bot."""
    return f"Write a message, and I answer. There are commands too:\n{help_text()}"


def unknown_text(name: str) -> str:
    """Say that there is no such command, and which there are."""
    return f"There is no command /{name}. These exist:\n{help_text()}"


def status_text(view: Transcript, prompt: tuple[PromptMessage, ...], *, model: str, budget_tokens: int) -> str:
    """Describe the conversation: its turns, the share of the context that it fills, the model."""
    used = estimate_prompt(prompt)
    lines = [
        f"Model: {model}",
        f"Conversation: {_count(len(view.turns), 'turn')}, {_count(len(view.pending), 'message')} waiting",
        f"Context: about {used} of {budget_tokens} tokens ({used * 100 // budget_tokens} %)",
    ]
    if view.damaged_lines:
        lines.append(f"Damaged lines in the session's file: {view.damaged_lines}")
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

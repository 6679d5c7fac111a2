"""The notices a person gets instead of a reply: why it failed, broke off, came too late, or could not be saved."""

from __future__ import annotations

from collections.abc import Sequence

from agentd.transcript.records import AssistantMessage, Failure, UserMessage

__all__ = [
    "NOTHING_TO_RETRY",
    "STOPPED",
    "aside_text",
    "broken_off",
    "closing_text",
    "failure_text",
    "stale_retry_text",
    "stale_text",
    "unsaved_text",
]

STOPPED = "Stopped."
NOTHING_TO_RETRY = "There is no message yet that I could answer once more."


def failure_text(reason: str, detail: str, trace: str) -> str:
    """Say why there is no reply, with the trace id under which the log tells more."""
    sentence = {
        "stopped": STOPPED,
        "timeout": "The model took too long, so I gave up on this reply. Send it again to try once more.",
        "empty": "The model answered with nothing. Send it again, or say it in other words.",
        "internal": "Something went wrong on my side, and there is no reply. Send it again to try once more.",
    }.get(reason, detail)
    return sentence if reason == "stopped" else f"{sentence} (trace {trace})"


def broken_off(reason: str, detail: str, trace: str) -> str:
    """Say, below the part of a reply that was already shown, why it ends there."""
    if reason in ("stopped", "superseded"):
        return "[stopped]"
    return f"[This reply broke off. {failure_text(reason, detail, trace)}]"


def closing_text(end: AssistantMessage | Failure) -> str:
    """Return the final text on the screen for a recorded ending; also used to redeliver it in a later run."""
    if isinstance(end, Failure):
        return end.notice
    return end.content if end.outcome == "complete" else f"{end.content}\n[This reply was cut short.]"


def stale_text(messages: Sequence[UserMessage], minutes: float) -> str:
    """Say that stale messages were found and will not be answered unasked."""
    many = f"{len(messages)} messages" if len(messages) > 1 else "a message"
    quote = " ".join(messages[-1].content.split())[:80]
    return (
        f"While I was away you sent {many} (the last: “{quote}”). That is over {minutes:g} minutes ago, so I "
        "have not answered. Write again if you still want a reply; I can see what you sent."
    )


def stale_retry_text(minutes: float) -> str:
    """Say that a stale `/retry` was found and not obeyed."""
    return (
        f"While I was away you asked for another answer. That is over {minutes:g} minutes ago, so I have not made "
        "one. Send /retry again if you still want it."
    )


def aside_text(name: str) -> str:
    """Say that a conversation could not be read, and under which name it is kept."""
    return (
        f"I could not read our conversation so far, and go on without it. It is kept as {name}; whoever runs me can "
        "look into that."
    )


def unsaved_text(fault: str) -> str:
    """Say that an answer could not be written to disk, and what happens to the message."""
    return f"I cannot answer now: {fault}. Your message is kept; I answer it together with your next one."

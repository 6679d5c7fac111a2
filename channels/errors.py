"""What can go wrong between the daemon and a platform, one class for each decision.

ChannelError
├── ChannelUnavailable   the channel cannot be had with this configuration: the operator must change it
├── ChannelFailed        the channel broke while it ran, and what was to be said is lost: the process fails
├── NotAccepted          the message is not on disk: the channel must not confirm it, and offers it again
├── FetchFailed          the platform does not give a file for good: the message is taken without it
├── SendFailed           the platform refused a message for good: that is on record, and the session goes on
└── Unreachable          the platform cannot be reached: what was to be said is said when it can be
    └── NotSent          and nothing of it has arrived: it is said then without being marked as a copy
        ├── RateLimited  the platform wants to be left alone for a time, and says how long
        └── ChatMoved    the chat has another id by now: it is said there
"""

from __future__ import annotations

__all__ = [
    "ChannelError",
    "ChannelFailed",
    "ChannelUnavailable",
    "ChatMoved",
    "FetchFailed",
    "NotAccepted",
    "NotSent",
    "RateLimited",
    "SendFailed",
    "Unreachable",
]


class ChannelError(Exception):
    """The root."""


class ChannelUnavailable(ChannelError):
    """The configuration asks for a channel that cannot be built; the text names the key."""


class ChannelFailed(ChannelError):
    """The channel cannot go on; the text is one line for the operator."""


class NotAccepted(ChannelError):
    """The message was not written; the text is one plain line for its sender."""


class FetchFailed(ChannelError):
    """A file cannot be had; the text is one plain line for its sender."""


class SendFailed(ChannelError):
    """The platform refused a message."""


class Unreachable(ChannelError):
    """Nothing can be sent now; whether the last try arrived is not known."""


class NotSent(Unreachable):
    """Nothing can be sent now, and the last try is known not to have arrived (no connection, a rate limit)."""


class RateLimited(NotSent):
    """Too many calls."""

    def __init__(self, text: str, retry_after_seconds: float) -> None:
        """Say what the platform said, and how long it wants no further call."""
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ChatMoved(NotSent):
    """The chat has another id."""

    def __init__(self, text: str, to_chat: str) -> None:
        """Say what the platform said, and the new id."""
        super().__init__(text)
        self.to_chat = to_chat

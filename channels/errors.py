"""This module defines the errors of channels, one class for each decision that the daemon takes about them.

ChannelError
├── ChannelUnavailable   the channel cannot run with this configuration: the operator must change it
├── ChannelFailed        the channel broke while it ran, and replies are lost: the process fails
├── NotAccepted          the message is not on disk: the channel must not acknowledge it, and offers it again
├── FetchFailed          the platform will never give this file: the message is taken without it
├── SendFailed           the platform refused a message for good: that is on record, and the session goes on
└── Unreachable          the platform cannot be reached: the message is sent again when it can be
    └── NotSent          and it is known not to have arrived: it is sent again without being marked as a copy
        ├── RateLimited  the platform's rate limit (429), with the time to wait
        └── ChatMoved    the chat has a new id: the message is sent there
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
    """The root of all errors of channels."""


class ChannelUnavailable(ChannelError):
    """The configuration asks for a channel that cannot be built; the text names the key."""


class ChannelFailed(ChannelError):
    """The channel cannot go on; the text is one line for the operator."""


class NotAccepted(ChannelError):
    """The message was not written; the text is one plain line for its sender."""


class FetchFailed(ChannelError):
    """A file cannot be downloaded, now or later; the text is one plain line for its sender."""


class SendFailed(ChannelError):
    """The platform refused a call for good."""


class Unreachable(ChannelError):
    """Nothing can be sent now; whether the last try arrived is not known."""


class NotSent(Unreachable):
    """Nothing can be sent now, and the last try is known not to have arrived (no connection, a rate limit)."""


class RateLimited(NotSent):
    """The platform's rate limit was hit (429)."""

    def __init__(self, text: str, retry_after_seconds: float) -> None:
        """Keep the platform's text, and the time in seconds until it takes calls again."""
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ChatMoved(NotSent):
    """The chat has a new id."""

    def __init__(self, text: str, to_chat: str) -> None:
        """Keep the platform's text and the new id."""
        super().__init__(text)
        self.to_chat = to_chat

"""What can go wrong between the daemon and a platform, one class for each decision.

ChannelError
├── ChannelUnavailable   the channel cannot be had with this configuration: the operator must change it
├── NotAccepted          the message is not on disk: the channel must not confirm it, and offers it again
└── SendFailed           the platform did not take a message; what was to be said stays on disk
"""

from __future__ import annotations

__all__ = ["ChannelError", "ChannelUnavailable", "NotAccepted", "SendFailed"]


class ChannelError(Exception):
    """The root."""


class ChannelUnavailable(ChannelError):
    """The configuration asks for a channel that cannot be built; the text names the key."""


class NotAccepted(ChannelError):
    """The message was not written; the text is one plain line for its sender."""


class SendFailed(ChannelError):
    """The platform refused a message or could not be reached."""

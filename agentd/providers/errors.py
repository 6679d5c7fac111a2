"""The errors that a provider can raise instead of text, one class per decision.

 ProviderError
 ├── ProviderRetryable   the same request may succeed soon: ask again after `retry_after_seconds`
 ├── ContextTooLong      the prompt does not fit: shorten it once, then ask again
 └── ProviderRefused     asking again cannot help: tell the person

The text of each is one plain line for the person who waits. It never holds a key, a header or the prompt.
"""

from __future__ import annotations

__all__ = ["ContextTooLong", "ProviderError", "ProviderRefused", "ProviderRetryable"]


class ProviderError(Exception):
    """The root."""


class ProviderRetryable(ProviderError):
    """Overload, a rate limit, a broken connection, a stream that was cut."""

    def __init__(self, text: str, retry_after_seconds: float | None = None) -> None:
        """`retry_after_seconds` is how long the server asked to wait; None if it did not say."""
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class ContextTooLong(ProviderError):
    """The prompt has more tokens than the model takes."""


class ProviderRefused(ProviderError):
    """A wrong key, an unknown model, a filtered or malformed request."""

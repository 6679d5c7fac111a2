"""The port to a language model.

A provider is asked for one completion at a time as a stream of events: any number of `TextDelta`, then exactly
one `Finished`. A stream that ends without `Finished` is a fault of the adapter; a server's stream that ends
without a finish reason is raised as `ProviderRetryable` (`agentd.providers.errors`). Whoever retries after text
was yielded says so with `Restarted`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

__all__ = [
    "UNSEEN_NOTE",
    "CompletionRequest",
    "Event",
    "Finished",
    "Image",
    "PromptMessage",
    "Provider",
    "Restarted",
    "Schema",
    "TextDelta",
    "Usage",
]


UNSEEN_NOTE = "[The images are not shown to you: this model cannot look at them. Say so if it matters.]"
"""Added to a message whose images are left out."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image as the platform gave it."""

    media_type: str
    content: bytes


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message of a prompt; models without vision are asked without its images."""

    role: Literal["system", "user", "assistant"]
    content: str
    images: tuple[Image, ...] = ()


@dataclass(frozen=True, slots=True)
class Schema:
    """The form that a reply should have, as far as the server can enforce it."""

    name: str
    """At most 64 characters of a-z, A-Z, 0-9, `_` and `-`; some servers show it to the model."""
    rules: str
    """A JSON schema, as JSON text.

    All servers accept this: an object in which, as in each object within it, every property is `required` and
    `additionalProperties` is false, without bounds on numbers, lengths or sizes.
    """

    @classmethod
    def of(cls, name: str, rules: Mapping[str, object]) -> Schema:
        """Encode the rules; a model fills in the properties in their order."""
        return cls(name, msgspec.json.encode(rules).decode())


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request: the prompt (system first, newest message last), and the sampling.

    With a `schema` the reply is JSON of that form if the server can enforce it. Otherwise it is requested without: so
    the prompt must state the form too, and the reader must expect anything.
    """

    messages: tuple[PromptMessage, ...]
    max_output_tokens: int
    temperature: float
    schema: Schema | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them; zero if it did not say.

    Of the input, `cached_input_tokens` were read from the server's cache, which costs a fraction.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_input_tokens: int = 0


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the reply; never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of the reply: `length` means that it was cut at `max_output_tokens`."""

    reason: Literal["stop", "length", "filtered"]
    usage: Usage
    model: str


@dataclass(frozen=True, slots=True)
class Restarted:
    """What was yielded so far is void: the reply starts again."""


Event = TextDelta | Finished | Restarted


class Provider(Protocol):
    """One model that can be asked."""

    model: str
    """Its name, for the transcript and the log."""

    context_tokens: int | None
    """How many tokens prompt and reply may have together, by the model's own count; None if unknown."""

    def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Send the request, and yield the reply as it comes.

        Closing the generator early ends the request. Raises the classes of `agentd.providers.errors` and nothing else;
        does not retry.
        """
        ...

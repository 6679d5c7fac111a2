"""Writes requests for llama.cpp and parses its chunks and errors (JSON). No I/O.

The texts of llama.cpp's errors are not passed on: some of them quote the prompt.
"""

from __future__ import annotations

import msgspec

from agentd.providers.base import UNSEEN_NOTE, CompletionRequest, PromptMessage
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.openai_wire import build_response_format

__all__ = ["Chunk", "encode_request", "parse_chunk"]


class Delta(msgspec.Struct, frozen=True):
    """A piece of the reply."""

    content: str | None = None


class Choice(msgspec.Struct, frozen=True):
    """The single answer."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """Token counts, sent once at the end."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Fault(msgspec.Struct, frozen=True):
    """An error; the two counts are set only if the prompt is too long."""

    code: int = 500
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class Chunk(msgspec.Struct, frozen=True):
    """One piece of the stream; empty if it only reports progress with the prompt."""

    choices: tuple[Choice, ...] = ()
    usage: Counts | None = None
    error: Fault | None = None

    @property
    def text(self) -> str:
        """The new text of the reply; often ""."""
        return "".join(choice.delta.content or "" for choice in self.choices)

    @property
    def finish_reason(self) -> str | None:
        """Why the reply ended, in the chunk that ends it."""
        return next((choice.finish_reason for choice in self.choices if choice.finish_reason), None)


SAMPLING = {"min_p": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 256}
"""A model this small repeats itself until the reply is cut: without the penalty 20 of 48 answers ran to a limit of 400
tokens, with it none of 16.
"""

_CHUNKS = msgspec.json.Decoder(Chunk)


def encode_request(request: CompletionRequest) -> bytes:
    """Encode a request for a stream with token counts, and with progress reports per batch of the prompt.

    llama.cpp checks whether to stop when it passes a chunk on; without those reports a long prompt could not be left
    before its last token.
    """
    body: dict[str, object] = {
        "messages": [{"role": m.role, "content": _plain(_seen(m))} for m in request.messages],
        "max_tokens": request.max_output_tokens,
        "temperature": request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        "return_progress": True,
        **SAMPLING,
    }
    if request.schema is not None:
        body["response_format"] = build_response_format(request.schema)
    return msgspec.json.encode(body)


def parse_chunk(piece: bytes) -> Chunk:
    """Parse one piece of the stream. Raises the provider error that an error in it stands for."""
    try:
        chunk = _CHUNKS.decode(piece)
    except msgspec.DecodeError as error:
        raise ProviderRefused("The embedded model answered in a form that agentd does not know.") from error
    if chunk.error is not None:
        raise _error(chunk.error)
    return chunk


def _error(fault: Fault) -> ProviderError:
    if fault.type == "exceed_context_size_error":
        return ContextTooLong(
            f"The conversation is too long for the embedded model: {fault.n_prompt_tokens} tokens, "
            f"of at most {fault.n_ctx}."
        )
    if fault.code >= 500:
        return ProviderRetryable("The embedded model failed in the middle of its work.")
    return ProviderRefused("The embedded model does not take this request.")


def _seen(message: PromptMessage) -> str:
    return f"{message.content}\n\n{UNSEEN_NOTE}" if message.images else message.content


def _plain(content: str) -> str:
    """Return a text without what llama.cpp would not take as text.

    Lone surrogates cannot be in JSON. `<|im_end|>` and the like are tokens that end a message, so whoever wrote them in
    a chat could speak as the system: a zero-width space defuses them and keeps them readable.
    """
    return content.encode("utf-8", "replace").decode("utf-8").replace("<|", "<\u200b|")

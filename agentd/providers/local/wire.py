"""The JSON that llama.cpp takes and gives: requests to bytes, bytes to chunks, its errors to ours. No I/O.

Texts of llama.cpp's errors are not passed on: some of them quote the prompt.
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
    """The one answer asked for."""

    delta: Delta = Delta()
    finish_reason: str | None = None


class Counts(msgspec.Struct, frozen=True):
    """Tokens, told once at the end."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Fault(msgspec.Struct, frozen=True):
    """An error; the two counts only when the prompt is too long."""

    code: int = 500
    type: str = ""
    n_prompt_tokens: int = 0
    n_ctx: int = 0


class Chunk(msgspec.Struct, frozen=True):
    """One piece of the stream; empty but for progress with the prompt."""

    choices: tuple[Choice, ...] = ()
    usage: Counts | None = None
    error: Fault | None = None

    @property
    def text(self) -> str:
        """What is new in the reply; often nothing."""
        return "".join(choice.delta.content or "" for choice in self.choices)

    @property
    def finish_reason(self) -> str | None:
        """Why the reply ended, in the chunk that ends it."""
        return next((choice.finish_reason for choice in self.choices if choice.finish_reason), None)


SAMPLING = {"min_p": 0.1, "repeat_penalty": 1.1, "repeat_last_n": 256}
"""A model this small falls into repeating itself until the reply is cut: without the penalty 20 of 48 answers ran to
a limit of 400 tokens, with it none of 16."""

_CHUNKS = msgspec.json.Decoder(Chunk)


def encode_request(request: CompletionRequest) -> bytes:
    """Ask for a stream that counts its tokens and reports on the prompt batch by batch.

    llama.cpp sees whether it should stop when it hands over a chunk; without those reports a long prompt could not
    be left before its last token.
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
    """Read one piece of the stream; an error in it is raised as one of ours."""
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
    """Take from a text what llama.cpp would not take as text.

    Half a surrogate pair is no Unicode and has no place in JSON. `<|im_end|>` and its like are tokens that end a
    message: whoever wrote them in a chat could speak as the system. A zero-width space leaves them readable.
    """
    return content.encode("utf-8", "replace").decode("utf-8").replace("<|", "<\u200b|")

"""The embedded model as a provider: one request at a time, in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager

from agentd.providers.base import CompletionRequest, Event, Finished, TextDelta, Usage
from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.local.engine import Engine
from agentd.providers.local.llama import NATIVE_ERRORS
from agentd.providers.local.reply import Reply
from agentd.providers.local.weights import Weights, find_weights
from agentd.providers.local.wire import Chunk, encode_request, parse_chunk
from agentd.providers.settings import ModelSettings

__all__ = ["CONTEXT_TOKENS", "LocalProvider", "open_local"]

CONTEXT_TOKENS = 4096
"""Size of the context.

The packaged model would take 8,192, but each token of context costs 23 kB of memory from the start (94 MB for these),
and two cores read 200 tokens a second: a full context is some 20 s of waiting for the first word.
"""


def _say_nothing(_line: str) -> None:
    pass


@asynccontextmanager
async def open_local(
    settings: ModelSettings,
    *,
    progress: Callable[[str], None] = _say_nothing,
    context_tokens: int = CONTEXT_TOKENS,
    section: str = "provider",
) -> AsyncIterator[LocalProvider]:
    """Load the model of `settings.model` (empty: the packaged one), and free it at the end of the block.

    Loading happens here and not at the first request: a wrong path is reported at the start, and the interpreter, which
    stands still for 0.2 s of it, does so before anyone is served. `progress` gets a line before and one after. Leaving
    stops the running request and waits for it; leaving while it loads waits only for llama.cpp's own part. Raises
    `ProviderRefused` if something is not installed, the file is missing, or cannot be loaded.
    """
    weights = find_weights(settings.model, section)
    engine = Engine()
    try:
        await _load(engine, weights, context_tokens, progress)
        yield LocalProvider(engine, weights.name, context_tokens, settings.timeout_seconds)
    finally:
        await engine.close()


class LocalProvider:
    """The embedded model as a `Provider`."""

    def __init__(self, engine: Engine, model: str, context_tokens: int, timeout_seconds: float) -> None:
        """Use `engine`; `timeout_seconds` is the longest wait for a piece of a reply, or of work on a prompt."""
        self.model = model
        self.context_tokens: int | None = context_tokens
        self._engine = engine
        self._timeout_seconds = timeout_seconds
        self._turn = asyncio.Lock()

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Wait for the model to be free, then yield the reply as it comes.

        Closing the generator ends the work within one token, or one batch of the prompt. If the model does not answer
        in time, the request is refused rather than retried: nothing but this process can be slow here.
        """
        body = encode_request(request)
        reason: str | None = None
        usage = Usage()
        async with self._turn:
            reply = self._engine.ask(body)
            try:
                while (chunk := await self._next(reply)) is not None:
                    if text := chunk.text:
                        yield TextDelta(text)
                    reason = chunk.finish_reason or reason
                    if chunk.usage is not None:
                        usage = Usage(chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
            finally:
                reply.stop()
        if reason is None:
            raise ProviderRetryable("The embedded model stopped in the middle of its answer.")
        yield Finished("length" if reason == "length" else "stop", usage, self.model)

    async def _next(self, reply: Reply) -> Chunk | None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                piece = await reply.get()
        except TimeoutError as error:
            raise ProviderRefused(
                f"The embedded model has not answered for {self._timeout_seconds:g} s: this machine is too slow for it."
            ) from error
        except NATIVE_ERRORS as error:
            raise ProviderRefused("The embedded model does not take this request.") from error
        return None if piece is None else parse_chunk(piece)


async def _load(engine: Engine, weights: Weights, context_tokens: int, progress: Callable[[str], None]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    progress(f"Loading the embedded model ({weights.name}) ...")
    try:
        await engine.load(weights.path, context_tokens)
    except ImportError as error:
        # Usually libgomp, which a slim container lacks.
        raise ProviderRefused(f"The embedded model cannot be used: xllamacpp does not start ({error}).") from error
    except NATIVE_ERRORS as error:
        raise ProviderRefused(
            f"The model file {weights.path} cannot be loaded: it is damaged, not a GGUF file that the installed "
            "xllamacpp knows, or too large for this machine's memory."
        ) from error
    progress(f"The embedded model is ready ({loop.time() - began:.1f} s).")

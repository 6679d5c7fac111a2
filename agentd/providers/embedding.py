"""Requests embedding vectors from a server that speaks OpenAI's Embeddings API: OpenAI, Ollama, vLLM, llama.cpp etc.

Each `MOST_TEXTS` texts are one request, and nothing is retried here: a reply has no time for it, and a task is retried
as a whole.
"""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import msgspec

from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Fault, build_error, parse_fault, parse_retry_after
from agentd.providers.openai import OPENAI
from agentd.providers.settings import ModelSettings
from agentd.providers.transport import CONNECTION_FAULTS, build_server, explain, open_client, parse_url, read_at_most
from memory.errors import EmbedderFailed, TextRefused

__all__ = ["DEFAULT_MODEL", "RemoteEmbedder", "open_remote_embedder"]

DEFAULT_MODEL = "text-embedding-3-small"
"""OpenAI's smaller one: 1,536 numbers per text."""

MOST_TEXTS = 64
"""Per request. OpenAI takes 2,048, but only 300,000 tokens over all of them."""

MOST_CHARACTERS = 6_000
"""Per text; longer ones are cut. OpenAI takes 8,192 tokens, and a non-English character may need one."""

MOST_NUMBERS = 16_384
"""Per vector: four times what the largest models return."""

MAX_BODY_BYTES = 32 * 1024 * 1024
"""About five times the size of `MOST_TEXTS` vectors of 4,096 numbers with 25 digits."""

MAX_FAULT_BYTES = 64 * 1024

_ABOUT_TEXTS = frozenset({400, 413, 422})
"""Statuses that concern the given texts: each may be tried on its own then."""


class _Vector(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Vector]


_ANSWER = msgspec.json.Decoder(_Answer)


@asynccontextmanager
async def open_remote_embedder(settings: ModelSettings, model: str = "") -> AsyncIterator[RemoteEmbedder]:
    """Open the connections to the server of these settings, for the block."""
    async with open_client(settings) as client:
        yield RemoteEmbedder(client, settings.model_copy(update={"model": model or DEFAULT_MODEL}))


class RemoteEmbedder:
    """One model behind one address."""

    def __init__(self, client: httpx.AsyncClient, settings: ModelSettings) -> None:
        """Ask through `client`, which the caller closes, for vectors of `settings.model`."""
        self._client = client
        self._model = settings.model
        self._base_url = settings.base_url or OPENAI.base_url
        self._timeout_seconds = settings.timeout_seconds
        self._server = build_server(settings, self._base_url)

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Return a vector for each text. Raises EmbedderFailed and TextRefused, from a ProviderError."""
        vectors: list[bytes] = []
        for start in range(0, len(texts), MOST_TEXTS):
            try:
                vectors += await self._ask(texts[start : start + MOST_TEXTS])
            except ContextTooLong as fault:
                raise TextRefused(f"a text is too long for {self._model} at {self._server.host}") from fault
            except ProviderError as fault:
                raise EmbedderFailed(str(fault)) from fault
        return vectors

    async def _ask(self, texts: Sequence[str]) -> list[bytes]:
        body = msgspec.json.encode({"model": self._model, "input": [_plain(text) for text in texts]})
        try:
            url = parse_url(self._base_url, "/embeddings")
            async with (
                asyncio.timeout(self._timeout_seconds),
                self._client.stream("POST", url, content=body, headers=self._headers()) as response,
            ):
                if not response.is_success:
                    raise await self._refusal(response)
                return self._parse(await read_at_most(response, self._server, MAX_BODY_BYTES + 1), len(texts))
        except TimeoutError as exc:
            raise ProviderRetryable(f"the model's server at {self._server.host} took too long: try again") from exc
        except CONNECTION_FAULTS as exc:
            raise explain(exc, self._server, self._timeout_seconds) from exc

    async def _refusal(self, response: httpx.Response) -> ProviderError | TextRefused:
        body = await read_at_most(response, self._server, MAX_FAULT_BYTES)
        fault = parse_fault(response.status_code, body, parse_retry_after(response.headers, datetime.now(UTC)))
        error = build_error(fault, self._server)
        return self._explain(fault, error) if isinstance(error, ProviderRefused) else error

    def _explain(self, fault: Fault, error: ProviderRefused) -> ProviderError | TextRefused:
        """Describe a refusal without the server's own words, since they may quote a text."""
        host, status = self._server.host, fault.status
        if status == 404:
            return ProviderRefused(
                f"the model's server at {host} makes no vectors with {self._model}: set memory.embeddings_model to one "
                'that it has, or memory.embeddings to "none"'
            )
        if "no credit" in str(error):
            return error
        if status in _ABOUT_TEXTS:
            return TextRefused(f"{self._model} at {host} does not take a text (HTTP {status})")
        return build_error(replace(fault, message=""), self._server)

    def _parse(self, body: bytes, count: int) -> list[bytes]:
        """Return the vectors in the order of their texts."""
        try:
            found = {vector.index: _unit(vector.embedding) for vector in _ANSWER.decode(body).data}
            vectors = [found[number] for number in range(count)]
        except (ValueError, LookupError, RecursionError) as exc:
            raise self._unreadable() from exc
        if len({len(vector) for vector in vectors}) > 1:
            raise self._unreadable()
        return vectors

    def _unreadable(self) -> ProviderRetryable:
        return ProviderRetryable(f"the model's server at {self._server.host} sent no vectors that can be read")

    def _headers(self) -> dict[str, str]:
        key = self._server.key
        if key and not (key.isascii() and key.isprintable()):
            raise ProviderRefused(f"{self._server.section}.api_key has characters that no key has: copy it again")
        return {"Accept": "application/json", "Content-Type": "application/json", **OPENAI.build_headers(key)}


def _plain(text: str) -> str:
    # A lone surrogate can be in a str, but not in JSON.
    return text[:MOST_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _unit(numbers: Sequence[float]) -> bytes:
    """Return the vector normalised to length one. Raises ValueError if it is none."""
    length = math.hypot(*numbers)
    if not 0 < len(numbers) <= MOST_NUMBERS or not math.isfinite(length) or length == 0:
        raise ValueError("no vector")
    return struct.pack(f"<{len(numbers)}f", *(number / length for number in numbers))

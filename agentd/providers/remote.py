"""Requests a completion from a model's server over HTTP, in the server's dialect.

One request is one stream; nothing is retried here, except that an optional parameter which the model turns out not to
know is left out from then on, and the request is made again at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
import structlog

from agentd.providers.base import CompletionRequest, Event
from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.faults import build_error, parse_fault, parse_retry_after
from agentd.providers.refusals import (
    IMAGES,
    SCHEMA,
    parse_refused_parameter,
    refuses_images,
    refuses_schema,
    sees_no_images,
    takes_no_schema,
)
from agentd.providers.reply import MAX_BODY_BYTES, ParsePiece, StreamedReply, parse_document
from agentd.providers.settings import ModelSettings
from agentd.providers.transport import (
    CONNECTION_FAULTS,
    build_server,
    explain,
    open_client,
    parse_url,
    read_at_most,
    read_pieces,
)

__all__ = ["Dialect", "RemoteProvider", "open_remote"]

MAX_FAULT_BYTES = 64 * 1024
"""Of an error's body; a longer one is a web page."""

COUNTS_SECONDS = 5.0
"""How long to wait for the token counts once the reply is complete."""

REST_SECONDS = 0.1
"""How long to read on after a reply, so that its connection can be used again; otherwise the next request opens one."""

MAX_REST_BYTES = 64 * 1024
"""The end of a stream has a few bytes."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a kind of server is asked, and how it answers."""

    base_url: str
    """The address, unless the settings name another."""
    path: str
    """Path below that address."""
    build_headers: Callable[[str], Mapping[str, str]]
    """Takes the key, which may be empty."""
    build_body: Callable[[CompletionRequest, str, frozenset[str]], bytes]
    """Takes the model, and the parameters that it has refused."""
    parse_piece: ParsePiece
    optional: tuple[str, ...]
    """The parameters that `build_body` can leave out."""


@asynccontextmanager
async def open_remote(settings: ModelSettings, dialect: Dialect, section: str) -> AsyncIterator[RemoteProvider]:
    """Open the connections to one model's server, for the block."""
    async with open_client(settings) as client:
        yield RemoteProvider(client, settings, dialect, section)


class RemoteProvider:
    """One model behind one address."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: ModelSettings,
        dialect: Dialect,
        section: str = "provider",
        counts_seconds: float = COUNTS_SECONDS,
    ) -> None:
        """Ask through `client`, which the caller closes; errors name `section`, the settings to change."""
        self.model = settings.model
        self.context_tokens: int | None = None
        self._client = client
        self._dialect = dialect
        self._base_url = settings.base_url or dialect.base_url
        self._timeout_seconds = settings.timeout_seconds
        self._counts_seconds = counts_seconds
        self._server = build_server(settings, self._base_url, section)
        self._refused: frozenset[str] = frozenset()

    async def stream(self, request: CompletionRequest) -> AsyncGenerator[Event, None]:
        """Send the request, and yield the reply as it comes."""
        async with self._asked(request) as response:
            media_type = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if media_type == "text/html":
                raise ProviderRetryable(
                    f"the model's server at {self._server.host} answered with a web page: "
                    f"try again later, and check {self._server.section}.base_url"
                )
            if media_type == "application/json":
                body = await read_at_most(response, self._server, MAX_BODY_BYTES + 1)
                for event in parse_document(body, self._server, self._dialect.parse_piece):
                    yield event
                return
            async with aclosing(self._read(response)) as events:
                async for event in events:
                    yield event

    async def _read(self, response: httpx.Response) -> AsyncGenerator[Event, None]:
        reply = StreamedReply(self._server, self._dialect.parse_piece)
        async with aclosing(read_pieces(response, self._server)) as pieces:
            try:
                while not reply.closed:
                    async with asyncio.timeout(self._counts_seconds if reply.complete else None):
                        piece = await anext(pieces, b"")
                    if not piece:
                        break
                    for event in reply.feed(piece):
                        yield event
            except (httpx.TransportError, TimeoutError):
                if not reply.complete:  # otherwise only the token counts are missing
                    raise
            try:
                for event in reply.finish():
                    yield event
            finally:
                if reply.closed:
                    await _read_out(pieces)

    @asynccontextmanager
    async def _asked(self, request: CompletionRequest) -> AsyncIterator[httpx.Response]:
        """Send the request and yield the successful response; translate whatever goes wrong meanwhile."""
        left_out: frozenset[str] = frozenset()
        try:
            while True:
                refused = self._refused | left_out
                async with self._client.stream(
                    "POST",
                    parse_url(self._base_url, self._dialect.path),
                    content=self._dialect.build_body(request, self.model, refused),
                    headers=self._headers(),
                ) as response:
                    if response.is_success:
                        yield response
                        return
                    left_out |= {await self._learn(response, request, refused)}
        except CONNECTION_FAULTS as exc:
            raise explain(exc, self._server, self._timeout_seconds) from exc

    async def _learn(self, response: httpx.Response, request: CompletionRequest, refused: frozenset[str]) -> str:
        """Return what was refused, remembering it unless it concerned this request alone; raise any other fault."""
        body = await read_at_most(response, self._server, MAX_FAULT_BYTES)
        wait_seconds = parse_retry_after(response.headers, datetime.now(UTC))
        fault = parse_fault(response.status_code, body, wait_seconds)
        name, is_lasting = parse_refused_parameter(fault, self._dialect.optional, refused), True
        if name is None and refuses_schema(fault, request, refused):
            name, is_lasting = SCHEMA, takes_no_schema(fault)
        if refuses_images(fault, request, refused):
            name, is_lasting = IMAGES, sees_no_images(fault)
        if name is None:
            raise build_error(fault, self._server)
        if is_lasting:
            self._refused |= {name}  # joined, not replaced: another turn may have learnt something meanwhile
        _log.info("provider_parameter_dropped", host=self._server.host, model=self.model, parameter=name)
        return name

    def _headers(self) -> dict[str, str]:
        key = self._server.key
        if key and not (key.isascii() and key.isprintable()):
            raise ProviderRefused(f"{self._server.section}.api_key has characters that no key has: copy it again")
        return {
            "Accept": "text/event-stream, application/json",
            "Content-Type": "application/json",
            **self._dialect.build_headers(key),
        }


async def _read_out(pieces: AsyncIterator[bytes]) -> None:
    """Read the rest of a response whose reply is complete: only then can its connection be used again."""
    read_bytes = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(REST_SECONDS):
            async for piece in pieces:
                read_bytes += len(piece)
                if read_bytes > MAX_REST_BYTES:
                    return

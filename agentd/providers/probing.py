"""Tests a model with a question of a few tokens, for the wizard and `agentd check`.

Nothing is retried here: what is wrong at the moment is to be reported, not waited for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import httpx
import msgspec

from agentd.providers.base import CompletionRequest, Finished, PromptMessage
from agentd.providers.errors import ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.faults import Server, build_error, parse_fault
from agentd.providers.registry import choose_dialect
from agentd.providers.remote import open_remote
from agentd.providers.settings import ModelSettings
from agentd.providers.transport import CONNECTION_FAULTS, build_server, explain, open_client, parse_url, read_at_most

__all__ = ["list_models", "probe"]

MOST_TOKENS: Final = 16
"""Some servers refuse a smaller limit."""

MAX_LIST_BYTES: Final = 4 * 1024 * 1024
"""The longest known lists, of some 500 models with their prices, have a tenth of that."""

_QUESTION: Final = PromptMessage("user", "Answer with the one word: yes")


class _Named(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Named]


async def probe(settings: ModelSettings, section: str, seconds: float) -> str:
    """Ask for one word, within so many seconds; return which model answered. Raises the classes of `providers.errors`.

    For the embedded model only its file is looked for; it is not loaded.
    """
    if settings.kind == "local":
        from agentd.providers.local.weights import find_weights

        return find_weights(settings.model, section).name
    patient = settings.model_copy(update={"timeout_seconds": 2 * seconds})  # the limit is set around the call
    request = CompletionRequest((_QUESTION,), min(MOST_TOKENS, settings.max_output_tokens), settings.temperature)
    dialect = choose_dialect(settings.kind)
    try:
        async with asyncio.timeout(seconds), open_remote(patient, dialect, section) as remote:
            async for event in remote.stream(request):
                if isinstance(event, Finished):
                    return event.model
    except TimeoutError:
        raise _silent(build_server(settings, settings.base_url or dialect.base_url, section), seconds) from None
    raise AssertionError("a stream without an end")


async def list_models(settings: ModelSettings, section: str, seconds: float) -> tuple[str, ...]:
    """Return a server's names of its models; none if it has no such list. Raises like `probe`.

    Both protocols have it at the same place: https://platform.openai.com/docs/api-reference/models/list,
    https://docs.anthropic.com/en/api/models-list.
    """
    dialect = choose_dialect(settings.kind)
    base_url = settings.base_url or dialect.base_url
    server = build_server(settings, base_url, section)
    path = dialect.path.removesuffix("/chat/completions").removesuffix("/messages") + "/models"
    try:
        async with asyncio.timeout(seconds), open_client(settings) as client:
            return await _listed(client, parse_url(base_url, path), dialect.build_headers(_usable(server)), server)
    except TimeoutError:
        raise _silent(server, seconds) from None
    except CONNECTION_FAULTS as fault:
        raise explain(fault, server, seconds) from fault


async def _listed(
    client: httpx.AsyncClient, url: httpx.URL, headers: Mapping[str, str], server: Server
) -> tuple[str, ...]:
    async with client.stream("GET", url, headers=headers) as response:
        body = await read_at_most(response, server, MAX_LIST_BYTES)
    if response.status_code in (401, 403):
        raise build_error(parse_fault(response.status_code, body), server)
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if response.is_success:
            return tuple(model.id for model in msgspec.json.decode(body, type=_Models).data)
    return ()


def _usable(server: Server) -> str:
    """Return the key. Raises ProviderRefused if a header cannot hold it."""
    if server.key and not (server.key.isascii() and server.key.isprintable()):
        raise ProviderRefused(f"{server.section}.api_key has characters that no key has: copy it again")
    return server.key


def _silent(server: Server, seconds: float) -> ProviderError:
    return ProviderRetryable(
        f"the model's server at {server.host} has not answered within {seconds:g} s: "
        "see to it that it runs; one that loads its model first may need longer, once"
    )

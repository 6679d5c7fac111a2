"""These tests check what is specific to OpenAI's protocol, and what all share: addresses, keys, connections."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from agentd.providers.base import Finished, TextDelta
from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.openai import OPENAI
from agentd.providers.remote import RemoteProvider, open_remote
from tests.contract.model_stands import KEY, ask, fail, settings
from tests.platforms import openai_behaviours as behaviours
from tests.platforms import openai_server
from tests.platforms.openai_server import OpenAIServer, reply

HEARD = [{"role": "user", "content": "a"}]


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[RemoteProvider]:
    async with open_remote(settings(server.base_url), OPENAI, "provider") as opened:
        yield opened


async def test_the_request_says_what_was_asked(provider: RemoteProvider, server: OpenAIServer) -> None:
    await ask(provider)

    (asked,) = server.requests
    assert asked.last_user_text == "a planted prompt"
    assert (asked.body.model, asked.body.max_tokens, asked.body.temperature) == ("tiny", 64, 0.7)
    assert asked.headers["authorization"] == f"Bearer {KEY}"
    assert asked.headers["content-type"] == "application/json"


async def test_without_a_key_no_authorization_is_sent(server: OpenAIServer) -> None:
    async with open_remote(settings(server.base_url, key=""), OPENAI, "provider") as provider:
        await ask(provider)

    assert "authorization" not in server.requests[0].headers


async def test_a_trailing_slash_in_the_address_does_no_harm(server: OpenAIServer) -> None:
    async with open_remote(settings(f"{server.base_url}/"), OPENAI, "provider") as provider:
        events = await ask(provider)

    assert isinstance(events[-1], Finished)


async def test_a_proxy_in_the_environment_is_not_used_for_this_machine(
    server: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    async with open_remote(settings(server.base_url), OPENAI, "provider") as provider:
        await ask(provider)

    assert len(server.requests) == 1


@pytest.mark.parametrize(("reason", "mapped"), [("length", "length"), ("content_filter", "filtered")])
async def test_the_reason_of_the_end_is_told(
    provider: RemoteProvider, server: OpenAIServer, reason: str, mapped: str
) -> None:
    server.enqueue(reply("a", reason=reason))
    end = (await ask(provider))[-1]

    assert isinstance(end, Finished)
    assert end.reason == mapped


@pytest.mark.parametrize("names", [["max_tokens"], ["temperature"], ["stream_options", "temperature", "max_tokens"]])
async def test_a_parameter_that_was_refused_is_not_sent_again(
    provider: RemoteProvider, server: OpenAIServer, names: list[str]
) -> None:
    server.enqueue(*(behaviours.refuse_parameter(name) for name in names))
    await ask(provider)
    await ask(provider)

    assert len(server.requests) == len(names) + 2
    for asked in server.requests[-2:]:
        assert not asked.parameters & set(names)
        assert (asked.body.max_completion_tokens == 64) is ("max_tokens" in names)


async def test_a_server_that_refuses_the_same_parameter_for_ever_is_believed(
    provider: RemoteProvider, server: OpenAIServer
) -> None:
    server.enqueue(*(behaviours.refuse_parameter("temperature") for _ in range(5)))
    error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert len(server.requests) == 2


async def test_a_document_without_an_end_is_refused(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.raw(itertools.repeat(b" " * 60_000), content_type="application/json"))
    error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert "without an end" in str(error)


async def test_a_closed_port_is_told_as_such() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    async with open_remote(settings(f"http://127.0.0.1:{port}/v1"), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert f"127.0.0.1:{port} refused the connection" in str(error)


async def test_a_server_without_tls_is_told_as_such(server: OpenAIServer) -> None:
    async with open_remote(settings(server.base_url.replace("http:", "https:")), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert "TLS" in str(error)


@pytest.mark.parametrize(
    "base_url", ["127.0.0.1:8080/v1", "ftp://127.0.0.1/v1", "http://h:port/v1", "http://xn--a/v1", "http://"]
)
async def test_an_unusable_address_is_refused(base_url: str) -> None:
    async with open_remote(settings(base_url), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert "provider.base_url" in str(error)


@pytest.mark.parametrize("key", [f"{KEY}\nX-Other: 1", f"{KEY}ü"])
async def test_a_key_that_cannot_be_sent_is_refused(server: OpenAIServer, key: str) -> None:
    async with open_remote(settings(server.base_url, key=key), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert server.requests == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/chat/completions", {}, 405),
        ("POST", "/completions", {}, 404),
        ("POST", "/chat/completions", {"messages": HEARD}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": []}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": [{"role": "user", "content": 7}]}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": [{"role": "cat", "content": "a"}]}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": HEARD, "x": 1}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": HEARD, "temperature": "1"}, 400),
        ("POST", "/chat/completions", {"model": "m", "messages": HEARD}, 200),
    ],
)
async def test_the_server_of_the_tests_is_strict(
    server: OpenAIServer, method: str, path: str, body: dict[str, object], status: int
) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.request(method, server.base_url + path, json=body)

    assert response.status_code == status
    assert ("error" in response.json()) is (status >= 400)


async def test_the_server_runs_as_a_process_and_records_what_it_was_asked(tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    command = [sys.executable, openai_server.__file__, "--port", "0", "--record", str(record)]
    process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        base_url = (await process.stdout.readline()).decode().strip()
        async with open_remote(settings(base_url), OPENAI, "provider") as provider:
            events = await ask(provider)
    finally:
        process.send_signal(signal.SIGTERM)
        status = await process.wait()

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "You said: a planted prompt"
    assert status == 0
    (recorded,) = [json.loads(line) for line in record.read_text().splitlines()]
    assert recorded["body"]["messages"][-1] == {"role": "user", "content": "a planted prompt"}
    assert recorded["headers"]["authorization"] == f"Bearer {KEY}"

"""The real adapter over real sockets, against a server that is as strict as the real ones."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from agentd.providers.base import CompletionRequest, Event, Finished, PromptMessage, TextDelta, Usage
from agentd.providers.errors import ContextTooLong, ProviderError, ProviderRefused, ProviderRetryable
from agentd.providers.openai import OPENAI
from agentd.providers.remote import RemoteProvider, open_remote
from agentd.providers.settings import ModelSettings
from agentd.providers.transport import open_client
from tests.platforms import openai_behaviours as behaviours
from tests.platforms import openai_server
from tests.platforms.openai_server import Behaviour, OpenAIServer, reply

REQUEST = CompletionRequest((PromptMessage("system", "be brief"), PromptMessage("user", "a planted prompt")), 64, 0.7)
KEY = "sk-planted-key"
HEARD = [{"role": "user", "content": "a"}]


def settings(base_url: str, key: str = KEY, timeout_seconds: float = 30) -> ModelSettings:
    return ModelSettings(
        kind="openai",
        base_url=base_url,
        model="tiny",
        api_key=SecretStr(key),
        max_output_tokens=64,
        temperature=0.7,
        timeout_seconds=timeout_seconds,
    )


@pytest.fixture
async def server() -> AsyncIterator[OpenAIServer]:
    async with OpenAIServer() as running:
        yield running


@pytest.fixture
async def provider(server: OpenAIServer) -> AsyncIterator[RemoteProvider]:
    async with open_remote(settings(server.base_url), OPENAI, "provider") as opened:
        yield opened


async def ask(provider: RemoteProvider) -> list[Event]:
    return [event async for event in provider.stream(REQUEST)]


async def fail(provider: RemoteProvider) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await ask(provider)
    text = str(caught.value)
    assert text.isprintable()
    assert KEY not in text
    assert "planted" not in text
    return caught.value


async def test_a_reply_comes_in_pieces_with_its_end(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(reply("Hello there 👋", pieces=["Hel", "lo there ", "👋"]))

    assert await ask(provider) == [
        TextDelta("Hel"),
        TextDelta("lo there "),
        TextDelta("👋"),
        Finished("stop", Usage(5, 3), "tiny"),
    ]
    assert provider.model == "tiny"
    assert provider.context_tokens is None


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


async def test_pieces_are_yielded_as_they_come(provider: RemoteProvider, server: OpenAIServer) -> None:
    gate = asyncio.Event()
    server.enqueue(behaviours.slow(["a", "b"], gate))
    async with aclosing(provider.stream(REQUEST)) as events:
        first = await anext(events)
        gate.set()
        rest = [event async for event in events]

    assert first == TextDelta("a")
    assert rest[0] == TextDelta("b")


async def test_a_server_that_cannot_stream_is_accepted(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.whole("all at once"))

    assert await ask(provider) == [TextDelta("all at once"), Finished("stop", Usage(5, 3), "tiny")]


async def test_closing_early_ends_the_request(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.slow(["a", "b"], asyncio.Event()))
    async with aclosing(provider.stream(REQUEST)) as events:
        await anext(events)

    await server.left.wait()


async def test_cancelling_ends_the_request(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.slow(["a", "b"], asyncio.Event()))
    begun = asyncio.Event()

    async def listen() -> None:
        async for _ in provider.stream(REQUEST):
            begun.set()

    async with asyncio.TaskGroup() as tasks:
        listening = tasks.create_task(listen(), name="listening")
        await begun.wait()
        listening.cancel()

    await server.left.wait()


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (behaviours.failing(500), ProviderRetryable),
        (behaviours.failing(529), ProviderRetryable),
        (behaviours.cut(["He", "l"]), ProviderRetryable),
        (behaviours.cut(["He", "l"], abruptly=False), ProviderRetryable),
        (behaviours.cut([]), ProviderRetryable),
        (behaviours.malformed(), ProviderRetryable),
        (behaviours.html(), ProviderRetryable),
        (behaviours.raw([]), ProviderRetryable),
        (behaviours.raw([b"{}"], content_type="application/json"), ProviderRetryable),
        (behaviours.error_in_stream(["He"], {"code": 502, "message": "upstream"}), ProviderRetryable),
        (behaviours.error_in_stream(["He"], {"code": "insufficient_quota"}), ProviderRefused),
        (behaviours.context_too_long(), ContextTooLong),
        (behaviours.fault(413, "Payload too large"), ContextTooLong),
        (behaviours.unauthorised(), ProviderRefused),
        (behaviours.fault(403, "not for you"), ProviderRefused),
        (behaviours.fault(404, "The model `tiny` does not exist", "model_not_found"), ProviderRefused),
        (behaviours.fault(429, "You exceeded your current quota", "insufficient_quota"), ProviderRefused),
        (behaviours.fault(418, f"I know {KEY}\x00 and\nmore"), ProviderRefused),
        (behaviours.raw([b"x"], headers={"Content-Encoding": "gzip, gzip"}), ProviderRefused),
    ],
)
async def test_every_failure_has_its_class(
    provider: RemoteProvider, server: OpenAIServer, behaviour: Behaviour, kind: type[ProviderError]
) -> None:
    server.enqueue(behaviour)
    error = await fail(provider)

    assert type(error) is kind
    assert len(server.requests) == 1
    assert isinstance((await ask(provider))[-1], Finished)


async def test_text_before_a_cut_was_yielded(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.cut(["He", "l"]))
    async with aclosing(provider.stream(REQUEST)) as events:
        heard = [await anext(events), await anext(events)]
        with pytest.raises(ProviderRetryable):
            await anext(events)

    assert heard == [TextDelta("He"), TextDelta("l")]


async def test_how_long_to_wait_is_passed_on(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.rate_limited("20"))
    error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert error.retry_after_seconds == 20


COMPLETE = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]}\n\ndata: {"usa'


@pytest.mark.parametrize(("timeout_seconds", "counts_seconds"), [(0.05, 30), (30, 0.05)])
async def test_a_complete_reply_does_not_wait_long_for_its_counts(
    server: OpenAIServer, timeout_seconds: float, counts_seconds: float
) -> None:
    server.enqueue(behaviours.raw([COMPLETE], then="hang"))
    chosen = settings(server.base_url, timeout_seconds=timeout_seconds)
    async with open_client(chosen) as client:
        events = await ask(RemoteProvider(client, chosen, OPENAI, counts_seconds=counts_seconds))

    assert events == [TextDelta("a"), Finished("stop", Usage(), "tiny")]


async def test_a_complete_reply_survives_the_loss_of_its_counts(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.raw([COMPLETE], then="break"))

    assert await ask(provider) == [TextDelta("a"), Finished("stop", Usage(), "tiny")]


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


@pytest.mark.parametrize(
    "chunks",
    [
        lambda: itertools.repeat(b"x" * 60_000),
        lambda: itertools.repeat(b"data: x\n" * 8000),
        lambda: itertools.repeat(b'data: {"choices":[{"delta":{"content":"%s"}}]}\n\n' % (b"x" * 60_000)),
    ],
    ids=["a line", "an event", "a text"],
)
async def test_a_reply_without_an_end_is_refused(
    provider: RemoteProvider, server: OpenAIServer, chunks: Callable[[], itertools.repeat[bytes]]
) -> None:
    server.enqueue(behaviours.raw(chunks()))
    error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert "without an end" in str(error)


async def test_a_document_without_an_end_is_refused(provider: RemoteProvider, server: OpenAIServer) -> None:
    server.enqueue(behaviours.raw(itertools.repeat(b" " * 60_000), content_type="application/json"))
    error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert "without an end" in str(error)


async def test_silence_is_told_with_its_length(server: OpenAIServer) -> None:
    server.enqueue(behaviours.hang())
    async with open_remote(settings(server.base_url, timeout_seconds=0.05), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRetryable)
    assert "silent for 0.05 s" in str(error)
    assert server.base_url.split("/")[2] in str(error)


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


async def test_a_wrong_path_names_the_address(server: OpenAIServer) -> None:
    async with open_remote(settings(server.base_url.replace("/v1", "/v2")), OPENAI, "provider") as provider:
        error = await fail(provider)

    assert isinstance(error, ProviderRefused)
    assert server.base_url.replace("/v1", "/v2") in str(error)


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

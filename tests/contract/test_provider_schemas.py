"""These tests check a JSON Schema for the reply: requested, and left out once refused, in every protocol."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from aiohttp import web

from agentd.providers.base import Finished, Schema, TextDelta
from agentd.providers.errors import ContextTooLong, ProviderRefused, ProviderRetryable
from agentd.providers.remote import RemoteProvider, open_remote
from tests.contract.model_stands import FORMED, SCHEMA, STANDS, Stand, ask, settings
from tests.platforms import openai_behaviours
from tests.platforms.anthropic_server import VERSION
from tests.platforms.model_server import ModelServer, reply

Server = ModelServer[Any, Any]
Behaviour = Callable[[Any], Awaitable[web.StreamResponse]]

REFUSALS = [
    pytest.param(name, behaviour, id=f"{name}-{number}")
    for name, stand in STANDS.items()
    for number, behaviour in enumerate(stand.no_schema)
]
FAILURES = [
    pytest.param(name, behaviour, kind, id=f"{name}-{number}")
    for name, stand in STANDS.items()
    for number, (behaviour, kind) in enumerate(stand.failures)
]
OBJECT = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


@pytest.fixture(params=STANDS)
def stand(request: pytest.FixtureRequest) -> Stand:
    return STANDS[request.param]


@pytest.fixture
async def server(stand: Stand) -> AsyncIterator[Server]:
    async with stand.server() as running:
        yield running


@pytest.fixture
async def provider(stand: Stand, server: Server) -> AsyncIterator[RemoteProvider]:
    async with open_remote(settings(server.base_url), stand.dialect, "provider") as opened:
        yield opened


async def test_a_schema_is_sent_as_it_is_with_the_request_that_has_one(
    stand: Stand, provider: RemoteProvider, server: Server
) -> None:
    server.enqueue(reply('{"facts": [], "mood": null}'))
    events = await ask(provider, FORMED)
    await ask(provider)

    first, second = (stand.schema_in(asked.sent) for asked in server.requests)
    assert first == json.loads(SCHEMA.rules)
    assert second is None
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == '{"facts": [], "mood": null}'


def test_the_properties_keep_their_order() -> None:
    assert SCHEMA.rules.index('"facts"') < SCHEMA.rules.index('"mood"')
    assert hash(SCHEMA) == hash(Schema(SCHEMA.name, SCHEMA.rules))


@pytest.mark.parametrize(("name", "behaviour"), REFUSALS)
async def test_a_server_that_holds_no_reply_to_a_form_is_asked_without_from_then_on(
    name: str, behaviour: Behaviour
) -> None:
    stand = STANDS[name]
    async with stand.server() as server, open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
        server.enqueue(behaviour)
        first = await ask(provider, FORMED)
        second = await ask(provider, FORMED)

    sent = [dict(asked.sent) for asked in server.requests]
    assert [stand.schema_in(body) is not None for body in sent] == [True, False, False]
    assert sent[1] == sent[2] == {key: value for key, value in sent[0].items() if key in sent[1]}
    assert isinstance(first[-1], Finished)
    assert isinstance(second[-1], Finished)


async def test_another_provider_of_the_same_server_is_asked_with_it(stand: Stand, server: Server) -> None:
    server.enqueue(stand.no_schema[0])
    for _ in range(2):
        async with open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
            await ask(provider, FORMED)

    assert [stand.schema_in(asked.sent) is not None for asked in server.requests] == [True, False, True]


async def test_a_refusal_that_goes_on_without_the_schema_is_believed(
    stand: Stand, provider: RemoteProvider, server: Server
) -> None:
    server.enqueue(*[stand.no_schema[0]] * 5)
    with pytest.raises(ProviderRefused):
        await ask(provider, FORMED)

    assert len(server.requests) == 2


async def test_the_same_words_about_a_request_without_a_schema_are_a_refusal(
    stand: Stand, provider: RemoteProvider, server: Server
) -> None:
    server.enqueue(stand.no_schema[0])
    with pytest.raises(ProviderRefused):
        await ask(provider)

    assert len(server.requests) == 1


@pytest.mark.parametrize(("name", "behaviour", "kind"), FAILURES)
async def test_no_other_failure_costs_the_schema(name: str, behaviour: Behaviour, kind: type[Exception]) -> None:
    stand = STANDS[name]
    async with stand.server() as server, open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
        server.enqueue(behaviour)
        with pytest.raises((ContextTooLong, ProviderRefused, ProviderRetryable)) as fault:
            await ask(provider, FORMED)
        await ask(provider, FORMED)

    assert fault.type is kind
    assert [stand.schema_in(asked.sent) is not None for asked in server.requests] == [True, True]


async def test_a_reply_that_missed_its_form_is_asked_for_without_and_the_next_with_it() -> None:
    stand = STANDS["openai"]
    words = "Generated JSON does not match the expected schema."
    async with stand.server() as server, open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
        server.enqueue(openai_behaviours.fault(400, words, "json_validate_failed"))
        await ask(provider, FORMED)
        await ask(provider, FORMED)

    assert [stand.schema_in(asked.sent) is not None for asked in server.requests] == [True, False, True]


async def test_other_parameters_are_still_learnt_one_by_one() -> None:
    stand = STANDS["openai"]
    async with stand.server() as server, open_remote(settings(server.base_url), stand.dialect, "provider") as provider:
        server.enqueue(openai_behaviours.refuse_parameter("temperature"), stand.no_schema[0])
        await ask(provider, FORMED)

    names = [set(asked.sent) & {"temperature", "response_format"} for asked in server.requests]
    assert names == [{"temperature", "response_format"}, {"response_format"}, set()]


FAULTY = [
    {**OBJECT, "additionalProperties": True},
    {**OBJECT, "required": []},
    {**OBJECT, "minProperties": 1},
    {"type": "array", "items": OBJECT},
    {**OBJECT, "properties": {"a": {"type": "text"}}},
    {**OBJECT, "properties": {"a": {"type": "string", "maxLength": 4}}},
    {**OBJECT, "properties": {"a": {"type": "array"}}},
    {**OBJECT, "properties": {"a": {"type": "array", "items": {"type": "object"}}}},
]


@pytest.mark.parametrize(("rules", "status"), [(OBJECT, 200), *((rules, 400) for rules in FAULTY)])
async def test_the_servers_of_the_tests_are_strict_about_the_rules(
    stand: Stand, server: Server, rules: dict[str, object], status: int
) -> None:
    request = replace(FORMED, schema=Schema.of("facts", rules))

    assert await post(stand, server, stand.dialect.build_body(request, "tiny", frozenset())) == status


@pytest.mark.parametrize(
    "parameter",
    [
        {"response_format": {"type": "json_schema", "json_schema": {"name": "no blanks", "schema": OBJECT}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "x" * 65, "schema": OBJECT}}},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": OBJECT}}},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "rules": OBJECT}}},
        {"response_format": {"type": "schema", "json_schema": {"name": "a", "schema": OBJECT}}},
        {"output_config": {"format": {"type": "json_schema", "schema": OBJECT, "name": "a"}}},
        {"output_config": {"format": {"type": "json", "schema": OBJECT}}},
        {"output_config": {}},
        {"output_format": {"type": "json_schema", "schema": OBJECT}},
    ],
)
async def test_the_servers_of_the_tests_are_strict_about_the_parameter(
    stand: Stand, server: Server, parameter: dict[str, object]
) -> None:
    body = json.loads(stand.dialect.build_body(replace(FORMED, schema=None), "tiny", frozenset()))

    assert await post(stand, server, json.dumps({**body, **parameter}).encode()) == 400


async def post(stand: Stand, server: Server, body: bytes) -> int:
    headers = {"x-api-key": "k", "anthropic-version": VERSION, "content-type": "application/json"}
    async with httpx.AsyncClient(trust_env=False) as client:
        response = await client.post(server.base_url + stand.dialect.path, content=body, headers=headers)
    return response.status_code

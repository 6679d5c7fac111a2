"""These tests check the probe of a model, a few tokens and once, and the list of a server's models."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from agentd.providers.errors import ProviderRefused, ProviderRetryable
from agentd.providers.probing import list_models, probe
from agentd.providers.settings import ModelSettings
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.model_behaviours import hang
from tests.platforms.openai_behaviours import failing, refuse_parameter, unauthorised
from tests.platforms.openai_server import OpenAIServer

KEY = "sk-planted-key"


def asking(server: OpenAIServer | AnthropicServer, key: str = KEY) -> ModelSettings:
    kind = "openai" if isinstance(server, OpenAIServer) else "anthropic"
    section = {"kind": kind, "base_url": server.base_url, "model": "test", "api_key": SecretStr(key)}
    return ModelSettings.model_validate(section)


async def test_a_model_is_asked_once_for_a_few_tokens() -> None:
    async with OpenAIServer() as openai, AnthropicServer() as anthropic:
        assert await probe(asking(openai), "provider", 10) == "test"
        assert await probe(asking(anthropic), "provider", 10) == "test"

    assert [request.body.max_tokens for request in openai.requests] == [16]
    assert [request.body.max_tokens for request in anthropic.requests] == [16]


async def test_a_parameter_that_a_model_refuses_is_no_fault() -> None:
    async with OpenAIServer() as server:
        server.enqueue(refuse_parameter("temperature"))

        assert await probe(asking(server), "provider", 10) == "test"


async def test_what_is_wrong_is_said_at_once_and_names_the_section() -> None:
    async with OpenAIServer() as server:
        server.enqueue(unauthorised(), failing(500))
        with pytest.raises(ProviderRefused, match=r"set provider\.fallbacks\[1\]\.api_key"):
            await probe(asking(server), "provider.fallbacks[1]", 10)
        with pytest.raises(ProviderRetryable, match="HTTP 500"):
            await probe(asking(server), "provider", 10)

    assert len(server.requests) == 2


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    async with OpenAIServer() as server:
        server.enqueue(hang())
        with pytest.raises(ProviderRetryable, match=r"has not answered within 0\.2 s: see to it that it runs"):
            await probe(asking(server), "provider", 0.2)


async def test_the_embedded_model_is_looked_for_and_not_loaded() -> None:
    assert await probe(ModelSettings(), "provider", 10) == "SmolLM2-135M"
    with pytest.raises(ProviderRefused, match=r"provider\.model names a file that does not exist"):
        await probe(ModelSettings(model="/nowhere.gguf"), "provider", 10)


async def test_both_protocols_list_their_models_for_who_has_the_key() -> None:
    async with OpenAIServer() as openai, AnthropicServer() as anthropic:
        for server in (openai, anthropic):
            server.models, server.key = ("one", "two"), KEY
            assert await list_models(asking(server), "provider", 10) == ("one", "two")
            with pytest.raises(ProviderRefused, match=r"refused the key: set provider\.api_key") as fault:
                await list_models(asking(server, "sk-other"), "provider", 10)
            assert "sk-other" not in str(fault.value)


async def test_a_server_without_a_list_lists_nothing() -> None:
    async with OpenAIServer() as server:
        assert await list_models(asking(server), "provider", 10) == ()


async def test_a_key_that_no_header_can_hold_is_refused_here() -> None:
    async with OpenAIServer() as server:
        with pytest.raises(ProviderRefused, match="characters that no key has"):
            await list_models(asking(server, "sk-ключ"), "provider", 10)


async def test_an_address_where_nobody_listens_is_told_apart_from_one_that_is_none() -> None:
    async with OpenAIServer() as server:
        pass
    with pytest.raises(ProviderRetryable, match="refused the connection: check that it runs"):
        await list_models(asking(server), "provider", 10)
    nowhere = asking(server).model_copy(update={"base_url": "http:///v1"})
    with pytest.raises(ProviderRefused, match="no usable address"):
        await list_models(nowhere, "provider", 10)

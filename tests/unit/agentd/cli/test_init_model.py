"""These tests check the wizard's model: key and name are tried at the server as they are entered."""

from __future__ import annotations

from functools import partial

import pytest
from pydantic import SecretStr

from agentd.cli.init_asking import Talk
from agentd.cli.init_model import ask_model
from agentd.errors import ConfigError
from agentd.providers.settings import ProviderSettings
from tests.platforms.anthropic_server import AnthropicServer
from tests.platforms.openai_behaviours import fault, unauthorised
from tests.platforms.openai_server import OpenAIServer
from tests.unit.agentd.cli.answering import answered

EMBEDDED, ANTHROPIC, OPENAI, OTHER = "1", "2", "3", "4"
KEY = "sk-planted-key"


async def choose(*answers: str, given: ProviderSettings | None = None) -> tuple[dict[str, object], str]:
    return await answered(partial(_ask, given or ProviderSettings()), *answers)


def _ask(given: ProviderSettings, talk: Talk) -> tuple[dict[str, object], str]:
    return ask_model(talk, given, is_kind_given="kind" in given.model_fields_set)


async def test_the_embedded_model_needs_one_answer_and_no_line_in_the_file() -> None:
    assert await choose(EMBEDDED) == ({}, "SmolLM2-135M")


async def test_a_server_of_ones_own_is_asked_for_its_models_and_the_chosen_one_answers(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with OpenAIServer() as server:
        server.models = ("small", "large")
        values, name = await choose(OTHER, "127.0.0.1", server.base_url, "", "large")
    said = capsys.readouterr().out

    assert values == {"kind": "openai", "base_url": server.base_url, "model": "large"}
    assert name == "large"
    assert "an address begins with http:// or https://" in said
    assert "It has: small, large" in said
    assert [request.body.max_tokens for request in server.requests] == [16]


async def test_the_only_model_of_a_server_is_proposed() -> None:
    async with OpenAIServer() as server:
        server.models = ("only",)
        values, _ = await choose(OTHER, server.base_url, "", "")

    assert values["model"] == "only"


async def test_a_server_cannot_flood_the_screen_with_a_name(capsys: pytest.CaptureFixture[str]) -> None:
    async with OpenAIServer() as server:
        server.models = ("x" * 100_000,)
        values, _ = await choose(OTHER, server.base_url, "", "")
    said = capsys.readouterr().out

    assert values["model"] == server.models[0]
    assert len(said) < 2000


async def test_a_server_without_a_list_is_good_enough() -> None:
    async with OpenAIServer() as server:
        values, _ = await choose(OTHER, server.base_url, KEY, "", "any")

    assert values == {"kind": "openai", "base_url": server.base_url, "model": "any", "api_key": KEY}


async def test_a_key_that_is_refused_is_asked_for_again_and_never_shown(capsys: pytest.CaptureFixture[str]) -> None:
    async with AnthropicServer() as server:
        server.models, server.key = ("claude-haiku-4-5",), KEY
        given = ProviderSettings(base_url=server.base_url)
        values, _ = await choose(ANTHROPIC, "sk-wrong", KEY, "", given=given)
    said = capsys.readouterr().out

    assert values == {
        "kind": "anthropic",
        "base_url": server.base_url,
        "model": "claude-haiku-4-5",
        "api_key": KEY,
    }
    assert "refused the key" in said
    assert "sk-wrong" not in said
    assert KEY not in said


async def test_a_hosted_server_answers_nobody_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    async with AnthropicServer() as server:
        await choose(ANTHROPIC, "", KEY, "any", given=ProviderSettings(base_url=server.base_url))

    assert "it answers nobody without a key" in capsys.readouterr().out


async def test_a_model_that_the_server_does_not_know_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    async with OpenAIServer() as server:
        server.enqueue(fault(404, "The model `wrong` does not exist", "model_not_found"))
        values, _ = await choose(OTHER, server.base_url, "", "", "wrong", "right")

    assert values["model"] == "right"
    said = capsys.readouterr().out
    assert "write the name that the server knows it by" in said
    assert "knows no model wrong under" in said


async def test_a_key_that_is_refused_only_for_an_answer_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    async with OpenAIServer() as server:
        server.enqueue(unauthorised())
        values, _ = await choose(OTHER, server.base_url, "sk-wrong", "any", KEY, "any")

    assert values["api_key"] == KEY
    assert "refused the key: set provider.api_key" in capsys.readouterr().out


async def test_a_key_of_the_environment_that_is_refused_ends_the_questions() -> None:
    async with OpenAIServer() as server:
        server.enqueue(unauthorised())
        given = ProviderSettings(kind="openai", base_url=server.base_url, model="given", api_key=SecretStr(KEY))
        with pytest.raises(ConfigError, match=r"provider\.api_key"):
            await choose(given=given)


async def test_a_server_that_is_down_can_be_kept_untried(capsys: pytest.CaptureFixture[str]) -> None:
    async with OpenAIServer() as server:
        pass
    values, _ = await choose(OTHER, server.base_url, "y", KEY, "y", "later", "y")

    assert values["model"] == "later"
    assert "It cannot be tried now: the model's server at 127.0.0.1:" in capsys.readouterr().out


async def test_what_the_environment_gives_is_not_asked_for() -> None:
    async with OpenAIServer() as server:
        given = ProviderSettings(kind="openai", base_url=server.base_url, model="given", api_key=SecretStr(KEY))
        values, _ = await choose(given=given)

    assert values == {"kind": "openai", "base_url": server.base_url, "model": "given"}
    assert len(server.requests) == 1

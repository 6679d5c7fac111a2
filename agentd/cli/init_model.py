"""The wizard's question about the model: which one, its key and name, and a first answer from it."""

from __future__ import annotations

import asyncio
from typing import Final

from pydantic import SecretStr

from agentd.cli.init_asking import NotThat, Talk
from agentd.errors import ConfigError
from agentd.providers.errors import ProviderError, ProviderRetryable
from agentd.providers.probing import list_models, probe
from agentd.providers.settings import ModelSettings, ProviderSettings

__all__ = ["ask_model"]

LIST_SECONDS: Final = 15.0
MODEL_SECONDS: Final = 60.0
"""A server of the user's own may have to load the model first."""

MOST_NAMES: Final = 20
SHOWN_CHARACTERS: Final = 200
"""Of a name: no known model has a longer one, but a server may send anything."""

OLLAMA: Final = "http://127.0.0.1:11434/v1"
"""Ollama's default address (https://docs.ollama.com/openai)."""

_OPTIONS: Final = (
    "the embedded one: no key, no network, and small talk at most",
    "Anthropic's, with a key",
    "OpenAI's, with a key",
    "another server that speaks OpenAI's protocol: Ollama, llama.cpp, vLLM, OpenRouter ...",
)
_KEYS: Final = {
    "anthropic": "a key is made at https://console.anthropic.com/settings/keys",
    "openai": "a key is made at https://platform.openai.com/api-keys",
}
_SECTION: Final = "provider"


def ask_model(talk: Talk, given: ProviderSettings, *, is_kind_given: bool) -> tuple[dict[str, object], str]:
    """Return the values for `[provider]`, by key, and the model's name.

    `given` is what environment and credential files set; a key given there is not returned.
    """
    talk.say("", "Which model shall answer?")
    while True:
        model = given if is_kind_given else _choose(talk, given)
        if model.kind == "local":
            try:
                name = asyncio.run(probe(model, _SECTION, MODEL_SECONDS))
            except ProviderError as fault:
                if is_kind_given:
                    raise ConfigError(str(fault)) from None
                talk.say(f"  {fault}")
                continue
            return _values(model, given), name
        model = _ask_server(talk, model)
        return _values(model, given), model.model


def _choose(talk: Talk, given: ProviderSettings) -> ModelSettings:
    chosen = talk.choose("A number", _OPTIONS)
    if chosen == 0:
        return given.model_copy(update={"kind": "local"})
    if chosen == 1:
        return given.model_copy(update={"kind": "anthropic"})
    hosted = given.model_copy(update={"kind": "openai"})
    if chosen == 2 or given.base_url:
        return hosted
    address = talk.ask(
        f"Its address, up to and with /v1 [{OLLAMA}, Ollama's on this machine]",
        lambda answer: _parse_address(talk, answer or OLLAMA, hosted),
    )
    return hosted.model_copy(update={"base_url": address})


def _parse_address(talk: Talk, answer: str, model: ModelSettings) -> str:
    if not answer.startswith(("http://", "https://")):
        raise NotThat("an address begins with http:// or https://")
    there = model.model_copy(update={"base_url": answer, "api_key": SecretStr("")})
    try:
        asyncio.run(list_models(there, _SECTION, LIST_SECONDS))
    except ProviderRetryable as fault:
        _keep_or_again(talk, fault)
    except ProviderError as fault:
        # The server exists and wants a key; if the address is unusable, that is said.
        if "refused the key" not in str(fault):
            raise NotThat(str(fault)) from None
    return answer


def _ask_server(talk: Talk, model: ModelSettings) -> ModelSettings:
    """Ask for key and name, and try each at once, since not every server checks the key when it lists its models."""
    while True:
        keyed, names = _ask_key(talk, model)
        name = _ask_name(talk, keyed, names)
        if name is not None:
            return keyed.model_copy(update={"model": name})
        if model.api_key:
            raise ConfigError("provider.api_key: the model's server refuses the one that is given: set another")


def _ask_key(talk: Talk, model: ModelSettings) -> tuple[ModelSettings, tuple[str, ...]]:
    """Return the model with its key, and the names of the server's models."""
    if model.api_key:
        talk.say("  The key is given by $AGENTD_PROVIDER__API_KEY or a credential file: it is not written down.")
        return model, _list_given(talk, model)
    is_own = model.kind == "openai" and bool(model.base_url)
    title = "Its key, if it wants one" if is_own else f"The key ({_KEYS[model.kind]})"
    key, names = talk.ask_secret(title, lambda answer: _enter_key(talk, model, answer, is_needed=not is_own))
    return model.model_copy(update={"api_key": SecretStr(key)}), names


def _ask_name(talk: Talk, model: ModelSettings, names: tuple[str, ...]) -> str | None:
    """Return the model's name once it has answered; None if its server refuses the key."""
    if model.model:
        return _try_model(talk, model, model.model)
    if names:
        more = f", and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
        talk.say(f"  It has: {', '.join(name[:SHOWN_CHARACTERS] for name in names[:MOST_NAMES])}{more}")
    first = names[0] if len(names) == 1 else ""
    question = f"The model's name [{first[:SHOWN_CHARACTERS]}]" if first else "The model's name"
    return talk.ask(question, lambda answer: _try_model(talk, model, answer or first))


def _enter_key(talk: Talk, model: ModelSettings, key: str, *, is_needed: bool) -> tuple[str, tuple[str, ...]]:
    if is_needed and not key:
        raise NotThat("it answers nobody without a key")
    return key, _list(talk, model.model_copy(update={"api_key": SecretStr(key)}))


def _list(talk: Talk, model: ModelSettings) -> tuple[str, ...]:
    try:
        return asyncio.run(list_models(model, _SECTION, LIST_SECONDS))
    except ProviderRetryable as fault:
        _keep_or_again(talk, fault)
        return ()
    except ProviderError as fault:
        raise NotThat(str(fault)) from None


def _list_given(talk: Talk, model: ModelSettings) -> tuple[str, ...]:
    try:
        return _list(talk, model)
    except NotThat as fault:
        raise ConfigError(str(fault)) from None


def _try_model(talk: Talk, model: ModelSettings, name: str) -> str | None:
    """Let a model answer, and return its name; None if its server refuses the key. Raises NotThat."""
    if not name:
        raise NotThat("write the name that the server knows it by")
    talk.say("  Asking it ...")
    try:
        answered = asyncio.run(probe(model.model_copy(update={"model": name}), _SECTION, MODEL_SECONDS))
    except ProviderRetryable as fault:
        _keep_or_again(talk, fault)
    except ProviderError as fault:
        if f"{_SECTION}.api_key" not in str(fault):
            raise NotThat(str(fault)) from None
        talk.say(f"  {fault}")
        return None
    else:
        talk.say(f"  {answered[:SHOWN_CHARACTERS]} answers.")
    return name


def _keep_or_again(talk: Talk, fault: ProviderError) -> None:
    """Ask whether to keep a value that could not be tested; raise NotThat if not."""
    talk.say(f"  It cannot be tried now: {fault}")
    if not talk.agrees("  Keep it all the same?"):
        raise NotThat("then enter it again")


def _values(model: ModelSettings, given: ProviderSettings) -> dict[str, object]:
    if model.kind == "local" and not model.model:
        return {}
    values: dict[str, object] = {"kind": model.kind}
    values |= {key: value for key in ("base_url", "model") if (value := getattr(model, key))}
    if model.api_key and not given.api_key:
        values["api_key"] = model.api_key.get_secret_value()
    return values

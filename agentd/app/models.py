"""Opens the models that the settings name, and replaces them while the daemon runs (a reload)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import structlog

from agentd.errors import ConfigError
from agentd.providers.base import Provider
from agentd.providers.errors import ProviderRefused
from agentd.providers.observing import Gauges
from agentd.providers.registry import open_background, open_provider
from agentd.providers.settings import ProviderSettings
from agentd.providers.switching import Switching
from agentd.service.figures import Figures

__all__ = ["ChangingModels", "Models", "ModelsNotOpened", "open_changing_models", "open_models", "say_progress"]


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Models:
    """The model that answers people, and the one for summaries and background tasks."""

    main: Provider
    background: Provider


@asynccontextmanager
async def open_models(settings: ProviderSettings, figures: Figures) -> AsyncIterator[Models]:
    """Open the models. Raises ConfigError if one is unavailable."""
    gauges = Gauges(figures.observe_provider, figures.count_tokens, figures.count_provider_error)
    try:
        async with (
            open_provider(settings, say_progress, gauges) as main,
            open_background(settings, main, say_progress, gauges) as background,
        ):
            yield Models(main, background)
    except ProviderRefused as fault:
        raise ConfigError(str(fault)) from fault


OpenSet = Callable[[ProviderSettings], AbstractAsyncContextManager[Models]]


class ModelsNotOpened(Exception):
    """Opening new models was cut off, as the daemon stops."""


class ChangingModels:
    """The daemon's models; each set stays open, in a task of its own, until no request uses it any more."""

    def __init__(self, first: Models, open_set: OpenSet, tasks: asyncio.TaskGroup) -> None:
        """Begin with a set that is closed by the caller; later ones are opened by `open_set`."""
        self.main = Switching(first.main)
        self.background = Switching(first.background)
        self._open_set = open_set
        self._tasks = tasks
        self._left = [asyncio.Event(), asyncio.Event()]
        """For the set in use, one event for each of its two models, set once no request uses that."""
        self._keeping: set[asyncio.Task[None]] = set()

    async def change(self, settings: ProviderSettings) -> None:
        """Use other models from the next request on.

        Raises ConfigError, or what opening them raises, and then nothing has changed.
        """
        opened: asyncio.Future[Models] = asyncio.get_running_loop().create_future()
        left = [asyncio.Event(), asyncio.Event()]
        keeping = self._tasks.create_task(self._keep(settings, opened, left), name="models")
        self._keeping.add(keeping)
        keeping.add_done_callback(self._keeping.discard)
        ends: list[asyncio.Future[Models] | asyncio.Task[None]] = [opened, keeping]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        if not opened.done():
            raise ModelsNotOpened
        models = opened.result()
        before, self._left = self._left, left
        self.main.switch(models.main, before[0].set)
        self.background.switch(models.background, before[1].set)
        self.main.sample(settings.temperature, settings.max_output_tokens)

    def close(self) -> None:
        """Close every set, once no requests are made any more."""
        for task in self._keeping:
            task.cancel()

    async def _keep(
        self, settings: ProviderSettings, opened: asyncio.Future[Models], left: list[asyncio.Event]
    ) -> None:
        """Keep a set open until it is no longer used; a fault in opening it goes to `opened`, one in closing it is
        logged.
        """
        try:
            async with self._open_set(settings) as models:
                opened.set_result(models)
                for event in left:
                    await event.wait()
        except Exception as fault:
            if opened.done():
                log.error("models_not_closed", exc_info=fault)
            else:
                opened.set_exception(fault)


@asynccontextmanager
async def open_changing_models(settings: ProviderSettings, figures: Figures) -> AsyncIterator[ChangingModels]:
    """Open the first set. Raises ConfigError if a model of it is unavailable."""
    async with open_models(settings, figures) as first, asyncio.TaskGroup() as tasks:
        models = ChangingModels(first, partial(open_models, figures=figures), tasks)
        try:
            yield models
        finally:
            models.close()


def say_progress(line: str) -> None:
    """Write a line for people to stderr, where the log goes too."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

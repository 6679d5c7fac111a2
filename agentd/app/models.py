"""Makes ready the models that the settings name."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agentd.errors import ConfigError
from agentd.providers.base import Provider
from agentd.providers.errors import ProviderRefused
from agentd.providers.observing import Gauges
from agentd.providers.registry import open_background, open_provider
from agentd.providers.settings import ProviderSettings
from agentd.service.figures import Figures

__all__ = ["Models", "open_models", "say_progress"]


@dataclass(frozen=True, slots=True)
class Models:
    """Who answers people, and who works for the conversation beside that."""

    main: Provider
    background: Provider


@asynccontextmanager
async def open_models(settings: ProviderSettings, figures: Figures) -> AsyncIterator[Models]:
    """Make them ready. Raises ConfigError where one cannot be had."""
    gauges = Gauges(figures.observe_provider, figures.count_tokens, figures.count_provider_error)
    try:
        async with (
            open_provider(settings, say_progress, gauges) as main,
            open_background(settings, main, say_progress, gauges) as background,
        ):
            yield Models(main, background)
    except ProviderRefused as fault:
        raise ConfigError(str(fault)) from fault


def say_progress(line: str) -> None:
    """Say something to whoever watches: it goes where the log goes, and is for people."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()

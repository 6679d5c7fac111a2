"""These tests check that a change of models never fails the daemon or leaves anybody waiting, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from agentd.app.models import ChangingModels, Models, ModelsNotOpened
from agentd.providers.settings import ProviderSettings
from tests.fakes.provider import FakeProvider

FIRST = Models(FakeProvider(), FakeProvider())


class Sets:
    """Opens sets of fakes; one that is opened later than the first may fail as it opens or closes."""

    def __init__(self, *, opens: Exception | None = None, closes: Exception | None = None) -> None:
        """Begin with none."""
        self.opened: list[Models] = []
        self.closed = asyncio.Event()
        self._opens, self._closes = opens, closes

    @asynccontextmanager
    async def open(self, settings: ProviderSettings) -> AsyncIterator[Models]:
        """Open one."""
        if self._opens:
            raise self._opens
        self.opened.append(Models(FakeProvider(), FakeProvider()))
        yield self.opened[-1]
        self.closed.set()
        if self._closes:
            raise self._closes


async def test_a_set_that_cannot_be_closed_is_logged_and_the_next_is_in_use() -> None:
    sets = Sets(closes=LookupError("a bug in closing"))
    with capture_logs() as logs:
        async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
            models = ChangingModels(FIRST, sets.open, tasks)
            await models.change(ProviderSettings())
            await models.change(ProviderSettings())
            await sets.closed.wait()
            in_use = models.main.inner
            models.close()

    assert in_use is sets.opened[1].main
    assert [said["event"] for said in logs] == ["models_not_closed"]


async def test_a_set_that_cannot_be_opened_leaves_the_one_before_in_use() -> None:
    sets = Sets(opens=LookupError("a bug in opening"))
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        models = ChangingModels(FIRST, sets.open, tasks)
        with pytest.raises(LookupError, match="a bug in opening"):
            await models.change(ProviderSettings())

    assert (models.main.inner, models.background.inner) == (FIRST.main, FIRST.background)


async def test_who_waits_for_a_set_whose_opening_is_broken_off_waits_no_longer() -> None:
    async def close() -> None:
        models.close()

    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        models = ChangingModels(FIRST, Sets().open, tasks)
        tasks.create_task(close(), name="close")
        with pytest.raises(ModelsNotOpened):
            await models.change(ProviderSettings())

    assert models.main.inner is FIRST.main

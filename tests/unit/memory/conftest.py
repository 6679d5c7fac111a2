"""This module holds what several tests of memory need."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest


@pytest.fixture
def far_from_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's clock is nine hours ahead of UTC."""
    with monkeypatch.context() as place:
        place.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()

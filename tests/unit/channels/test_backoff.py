from __future__ import annotations

import pytest

from channels.backoff import Growing


def test_a_pause_doubles_up_to_the_last_one() -> None:
    assert [Growing(1.0, 60.0).after(tries) for tries in (0, 1, 2, 5, 6, 7)] == [1.0, 2.0, 4.0, 32.0, 60.0, 60.0]


@pytest.mark.parametrize("tries", [1_023, 1_024, 10_000_000])
def test_what_has_failed_for_weeks_is_still_tried_again(tries: int) -> None:
    """Two to that power is no float any more."""
    assert Growing(30.0, 600.0).after(tries) == 600.0

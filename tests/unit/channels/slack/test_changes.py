"""These tests check that the last change of a message counts, whichever comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from channels.base import Address
from channels.slack.changes import MOST_CHANGES, Changes
from channels.slack.parse import Said

SENT = datetime(2026, 1, 1, tzinfo=UTC)
MESSAGE = Said(Address("slack", "T1", "D1"), "U1", "1.0", SENT, "at first")
FIRST, SECOND = (
    replace(MESSAGE, kind="edit", at=SENT + timedelta(seconds=number), text=f"edit {number}") for number in (1, 2)
)
DELETION = replace(MESSAGE, kind="delete", at=SENT + timedelta(seconds=3), text="")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ([], "at first"),
        ([FIRST], "edit 1"),
        ([FIRST, SECOND], "edit 2"),
        ([SECOND, FIRST], "edit 2"),
        ([FIRST, DELETION], None),
        ([DELETION, FIRST], None),
    ],
)
def test_the_last_change_counts_in_whatever_order_they_come(changes: list[Said], text: str | None) -> None:
    known = Changes()
    for change in changes:
        known.note(change)
    message = known.apply(MESSAGE)

    assert (message and message.text) == text


def test_the_change_of_another_message_or_conversation_is_none_of_this_one() -> None:
    known = Changes()
    known.note(replace(DELETION, message_id="2.0"))
    known.note(replace(DELETION, address=replace(MESSAGE.address, chat="D2")))

    assert known.apply(MESSAGE) == MESSAGE


def test_what_is_remembered_is_bounded() -> None:
    known = Changes()
    for number in range(MOST_CHANGES + 1):
        known.note(replace(DELETION, message_id=f"{number}.0"))

    assert known.apply(replace(MESSAGE, message_id="0.0")) is not None
    assert known.apply(replace(MESSAGE, message_id=f"{MOST_CHANGES}.0")) is None

"""These tests check where people were last heard in a session from which a person was erased."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from agentd.transcript.clock import format_time
from agentd.transcript.erasing import Stamp
from agentd.transcript.erasure import erase_file
from agentd.transcript.file_disk import FileDisk
from agentd.transcript.hearing import find_heard
from agentd.transcript.key import SessionKey
from agentd.transcript.records import Delivery, Erased, SessionHeader
from tests.unit.agentd.transcript.building import KEY, START
from tests.unit.agentd.transcript.shared import ADA, BOB, Shared, as_lines

STAMP = Stamp("0123456789abcdef", "2026-02-02T12:00:00.000Z")


def heard(folder: Path) -> list[datetime]:
    with ThreadPoolExecutor(1) as flushers:
        return [found.last_sent_at for found in find_heard(FileDisk(flushers), folder, "fake")]


def put(folder: Path, history: Shared, key: SessionKey = KEY) -> Path:
    path = folder / f"{key.file_name}.jsonl"
    path.write_bytes(b"".join(as_lines(history.records)))
    return path


def test_it_is_when_the_erased_person_was_heard_if_that_is_later(tmp_path: Path) -> None:
    history = Shared()
    history.message(BOB)
    history.turn()
    history.wait(1)
    history.message(ADA)
    history.wait(1)
    history.turn()
    path = put(tmp_path, history)
    before = heard(tmp_path)
    erase_file(path, {"fake": frozenset({ADA})}, STAMP)

    assert before == heard(tmp_path) == [START + timedelta(hours=1)]


def test_a_record_that_a_repair_left_tells_nothing(tmp_path: Path) -> None:
    history = Shared()
    history.message(BOB)
    history.wait(1)
    history.turn(draft=False)
    last = history.records[-1]
    assert isinstance(last, Delivery)
    history.records.append(Erased(seq=last.seq + 1, ts=last.ts))
    put(tmp_path, history)

    assert heard(tmp_path) == [START]


@pytest.mark.parametrize(("chat", "count"), [(ADA, 0), ("-100", 1)])
def test_a_direct_chat_that_was_erased_is_no_place_any_more_and_a_group_is(
    tmp_path: Path, chat: str, count: int
) -> None:
    key = SessionKey("fake", "bot", chat, None, ADA)
    history = Shared()
    history.records = [SessionHeader(version=1, key=key, seq=0, ts=format_time(START))]
    history.wait(1)
    history.message(ADA)
    history.wait(1)
    history.turn()
    erase_file(put(tmp_path, history, key), {"fake": frozenset({ADA})}, STAMP)

    assert heard(tmp_path) == [START + timedelta(hours=1)] * count

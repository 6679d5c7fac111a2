"""These tests check the notify protocol over a real socket."""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from agentd.service.notifying import MOST_STATUS_CHARACTERS, Notifier, build_notifier


@pytest.fixture(params=["path", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@agentd-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as bound:
        bound.bind("\0" + address[1:] if address.startswith("@") else address)
        bound.settimeout(5)
        yield address, bound


def test_each_step_is_one_datagram(listener: tuple[str, socket.socket]) -> None:
    address, bound = listener
    notifier = build_notifier({"NOTIFY_SOCKET": address})
    notifier.ready("Answering")
    notifier.say("two\nlines")
    notifier.stop("Stopping")
    notifier.extend(2.5)
    notifier.live()

    assert [bound.recv(4096).decode() for _ in range(5)] == [
        "READY=1\nSTATUS=Answering",
        "STATUS=two lines",
        "STOPPING=1\nSTATUS=Stopping",
        "EXTEND_TIMEOUT_USEC=2500000",
        "WATCHDOG=1",
    ]


def test_a_reload_says_when_it_began(listener: tuple[str, socket.socket]) -> None:
    address, bound = listener
    before = time.monotonic()
    Notifier(address).reload()
    first, second = bound.recv(4096).decode().split("\n")

    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) / 1_000_000 + 0.001
    assert int(second.removeprefix("MONOTONIC_USEC=")) / 1_000_000 <= time.monotonic()


def test_a_long_status_stays_one_short_datagram(listener: tuple[str, socket.socket]) -> None:
    address, bound = listener
    Notifier(address).say("🦊" * 5_000)

    assert len(bound.recv(65_536).decode()) == len("STATUS=") + MOST_STATUS_CHARACTERS


@pytest.mark.parametrize("address", ["", "/nowhere/at/all", "vsock:2:1234", "/" + "x" * 200, "@" + "x" * 200])
def test_nobody_who_listens_is_no_fault(address: str) -> None:
    notifier = Notifier(address, 10)
    notifier.ready("Answering")
    notifier.live()

    assert build_notifier({}).watchdog_seconds is None


def test_a_supervisor_that_does_not_read_holds_up_nothing(listener: tuple[str, socket.socket]) -> None:
    address, _ = listener
    notifier = Notifier(address)
    began = time.monotonic()
    for _ in range(12):
        notifier.say("x" * MOST_STATUS_CHARACTERS)

    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_a_watchdog_counts_where_it_is_this_process_s(environ: dict[str, str], seconds: float | None) -> None:
    assert build_notifier({"NOTIFY_SOCKET": "/run/notify", **environ}, 7).watchdog_seconds == seconds

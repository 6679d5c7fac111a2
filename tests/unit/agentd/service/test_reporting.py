"""These tests check that a supervisor waits for the daemon while it makes progress, and not for ever."""

from __future__ import annotations

from pathlib import Path

from agentd.service.notifying import Notifier
from agentd.service.reporting import EXTENSION_SECONDS, START_SECONDS, Reporter
from tests.platforms.notify_socket import open_notify_socket


async def test_a_daemon_that_takes_long_to_start_asks_for_patience_for_a_time(tmp_path: Path) -> None:
    clock = [0.0]
    async with open_notify_socket(tmp_path) as supervisor:
        notifier = Notifier(supervisor.address)
        reporter = Reporter(notifier, lambda: clock[0], contact_seconds=60)
        for at in (1, 170, START_SECONDS - 1, START_SECONDS + 1):
            clock[0] = at
            reporter.step()
        notifier.live()
        await supervisor.until(lambda: supervisor.count("WATCHDOG") == 1)
        asked = [told["EXTEND_TIMEOUT_USEC"] for told in supervisor.told if "EXTEND_TIMEOUT_USEC" in told]

    assert asked == [str(round(1_000_000 * EXTENSION_SECONDS))] * 3


async def test_a_daemon_that_is_ready_asks_for_no_patience_until_it_ends(tmp_path: Path) -> None:
    clock = [0.0]
    async with open_notify_socket(tmp_path) as supervisor:
        notifier = Notifier(supervisor.address)
        reporter = Reporter(notifier, lambda: clock[0], contact_seconds=60)
        reporter.receive()
        reporter.step()
        for at in (1, 2, 3):
            clock[0] = at
            reporter.step()
        reporter.stop(10)
        reporter.step()
        notifier.live()
        await supervisor.until(lambda: supervisor.count("WATCHDOG") == 1)
        told = [name for message in supervisor.told for name in message if name != "STATUS"]

    assert told == ["EXTEND_TIMEOUT_USEC", "READY", "STOPPING", "EXTEND_TIMEOUT_USEC", "WATCHDOG"]
